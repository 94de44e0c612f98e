// @alicloud/vpc20160428, the SDK generated for the VPC product: ACS3-HMAC-SHA256, replies in JSON.
'use strict';
const Vpc = require('@alicloud/vpc20160428');
const { $OpenApiUtil } = require('@alicloud/openapi-core');
const { add, live } = require('./life');

function make(scene) {
    const config = (more) => new $OpenApiUtil.Config({
        accessKeyId: scene.accessKey, accessKeySecret: scene.secret, endpoint: scene.address,
        protocol: 'HTTP', regionId: scene.region, ...more });
    const client = new Vpc.default(config());
    const regionId = scene.region;
    const creation = (log) => new Vpc.CreateFlowLogRequest({
        regionId, flowLogName: log.name, description: log.description,
        resourceType: scene.resourceType, resourceId: log.resource, trafficType: log.traffic,
        projectName: scene.group, logStoreName: scene.stream, ...log.more });
    const create = async (log) => (await client.createFlowLog(creation(log))).body.flowLogId;
    const list = async (more) =>
        (await client.describeFlowLogs(new Vpc.DescribeFlowLogsRequest({ regionId, ...more }))).body;
    const rows = (body) => (body.flowLogs && body.flowLogs.flowLog) || [];
    const modify = (id, more) => client.modifyFlowLogAttribute(
        new Vpc.ModifyFlowLogAttributeRequest({ regionId, flowLogId: id, ...more }));

    return {
        words: { all: 'All', reject: 'Drop' },
        named: true,
        described: true,
        slow: true,
        between: ['Activating', 'Modifying', 'Deactivating', 'Deleting'],
        pageSize: 2,
        create,
        async read(id) {
            const [row] = rows(await list({ flowLogId: id }));
            return row && {
                id: row.flowLogId, name: row.flowLogName, description: row.description || '',
                resource: row.resourceId, traffic: row.trafficType, state: row.status,
                enabled: row.status !== 'Inactive', destination: `${row.projectName}/${row.logStoreName}` };
        },
        async pages(size) {
            const pages = [];
            for (let number = 1; ; number++) {
                const body = await list(size ? { pageSize: size, pageNumber: number } : { pageSize: 50, pageNumber: number });
                const here = rows(body).map((row) => row.flowLogId);
                add(pages, here);
                if (number * Number(body.pageSize) >= Number(body.totalCount))
                    return pages;
            }
        },
        filtered: async (resource) => rows(await list({ resourceId: resource })).map((row) => row.flowLogId),
        rename: (id, name) => modify(id, { flowLogName: name }),
        describe: (id, text) => modify(id, { description: text }),
        clear: (id) => modify(id, { description: '' }),
        disable: (id) => client.deactiveFlowLog(new Vpc.DeactiveFlowLogRequest({ regionId, flowLogId: id })),
        enable: (id) => client.activeFlowLog(new Vpc.ActiveFlowLogRequest({ regionId, flowLogId: id })),
        remove: (id) => client.deleteFlowLog(new Vpc.DeleteFlowLogRequest({ regionId, flowLogId: id })),
        writeGone: (id) => client.activeFlowLog(new Vpc.ActiveFlowLogRequest({ regionId, flowLogId: id })).then(() => ''),
        foreign: {
            interval: (resource) => create({ resource, name: 'life-interval', traffic: 'All', more: { aggregationInterval: 5 } }),
            tags: (resource) => create({ resource, name: 'life-tags', traffic: 'All',
                                         more: { tag: [new Vpc.CreateFlowLogRequestTag({ key: 'team', value: 'net' })] } }),
            member: (resource) => create({ resource, name: 'life-member', traffic: 'All', more: { ipVersion: 'DualStack' } }),
        },
        unknown: () => new Vpc.default(config({ globalParameters: new $OpenApiUtil.GlobalParameters(
            { queries: { Nonsense: '1' } }) })).describeFlowLogs(new Vpc.DescribeFlowLogsRequest({ regionId })),
        refusal: (error) => error.code && error.statusCode &&
            { code: error.code, status: error.statusCode, note: error.message },
    };
}

live(make);
