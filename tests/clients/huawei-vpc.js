// @huaweicloud/huaweicloud-sdk-vpc: SDK-HMAC-SHA256, also for Open Telekom Cloud. Everything is done
// with the reply, so nothing is read twice. The SDK drops the `code` of VPC's errors (its core reads
// only `error_code`): a transformer of axios, which its options allow, keeps what was really said.
'use strict';
const core = require('@huaweicloud/huaweicloud-sdk-core');
const vpc = require('@huaweicloud/huaweicloud-sdk-vpc');
const { add, live } = require('./life');

let heard = ''; // the last reply's body
function hear(text) {
    heard = text;
    return text ? JSON.parse(text) : text;
}

function make(scene) {
    const credential = new core.BasicCredentials().withAk(scene.accessKey).withSk(scene.secret)
        .withProjectId(scene.project);
    const client = vpc.VpcClient.newBuilder().withCredential(credential)
        .withEndpoint(`http://${scene.address}`)
        .withOptions({ axiosRequestConfig: { transformResponse: [hear] } }).build();
    const create = async (log) => {
        const body = new vpc.CreateFlowLogReq(scene.resourceType, log.resource, log.traffic, scene.group, scene.stream);
        body.withName(log.name);
        if (log.description)
            body.withDescription(log.description);
        Object.assign(body, log.more);
        const reply = await client.createFlowLog(new vpc.CreateFlowLogRequest()
            .withBody(new vpc.CreateFlowLogReqBody().withFlowLog(body)));
        return reply.flow_log.id;
    };
    const update = (id, more) => {
        const body = Object.assign(new vpc.UpdateFlowLogReq(), more);
        return client.updateFlowLog(new vpc.UpdateFlowLogRequest().withFlowlogId(id)
            .withBody(new vpc.UpdateFlowLogReqBody().withFlowLog(body)));
    };
    const list = async (more) => (await client.listFlowLogs(Object.assign(new vpc.ListFlowLogsRequest(), more))).flow_logs;

    return {
        words: { all: 'all', reject: 'reject' },
        named: true,
        described: true,
        pageSize: 2,
        create,
        async read(id) {
            const log = (await client.showFlowLog(new vpc.ShowFlowLogRequest().withFlowlogId(id))).flow_log;
            return { id: log.id, name: log.name, description: log.description || '', resource: log.resource_id,
                     traffic: log.traffic_type, state: log.status, destination: `${log.log_group_id}/${log.log_topic_id}`,
                     enabled: log.admin_state === true && log.status === 'ACTIVE' };
        },
        async pages(size) {
            const pages = [];
            let marker;
            for (;;) { // without a next link: until fewer come than were asked for
                const here = (await list(size ? { limit: size, ...(marker && { marker }) } : {})).map((log) => log.id);
                add(pages, here);
                if (!size || here.length < size)
                    return pages;
                marker = here[here.length - 1];
            }
        },
        filtered: async (resource) => (await list({ resource_id: resource })).map((log) => log.id),
        rename: (id, name) => update(id, { name }),
        describe: (id, description) => update(id, { description }),
        clear: (id) => update(id, { description: '' }),
        disable: (id) => update(id, { admin_state: false }),
        enable: (id) => update(id, { admin_state: true }),
        remove: (id) => client.deleteFlowLog(new vpc.DeleteFlowLogRequest().withFlowlogId(id)),
        writeGone: (id) => update(id, { name: 'life-gone' }).then(() => ''),
        foreign: {
            index: (resource) => create({ resource, name: 'life-index', traffic: 'all', more: { index_enabled: true } }),
            member: (resource) => create({ resource, name: 'life-member', traffic: 'all', more: { nonsense: 'x' } }),
        },
        unknown: () => client.hcClient.sendRequest({ method: 'GET', url: '/v1/{project_id}/fl/flow_logs',
            contentType: 'application/json', headers: {}, pathParams: {}, queryParams: { nonsense: 1 } }),
        refusal(error) {
            if (!error.httpStatusCode)
                return null;
            let said = {};
            try {
                said = JSON.parse(heard);
            } catch {
                return null;
            }
            return { code: error.errorCode || said.code, status: error.httpStatusCode, note: said.message || error.errorMsg };
        },
    };
}

live(make);
