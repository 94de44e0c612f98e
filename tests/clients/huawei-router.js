// The enterprise router has no SDK of its own for Node.js: its seven calls, by the generic client and signer of
// @huaweicloud/huaweicloud-sdk-core. A router works asynchronously: what was asked for is polled.
'use strict';
const core = require('@huaweicloud/huaweicloud-sdk-core');
const { ClientBuilder } = require('@huaweicloud/huaweicloud-sdk-core/ClientBuilder');
const { add, live } = require('./life');

function make(scene) {
    const credential = new core.BasicCredentials().withAk(scene.accessKey).withSk(scene.secret)
        .withProjectId(scene.project);
    const client = new ClientBuilder((hc) => hc).withCredential(credential)
        .withEndpoint(`http://${scene.address}`).build();
    const base = `/v3/{project_id}/enterprise-router/${scene.router}/flow-logs`;
    const call = (method, path, data, queryParams) => client.sendRequest({
        method, url: base + path, contentType: 'application/json', headers: {}, pathParams: {},
        queryParams: queryParams || {}, ...(data && { data }) });
    const create = async (log) => (await call('POST', '', { flow_log: {
        name: log.name, resource_type: scene.resourceType, resource_id: log.resource, log_store_type: 'LTS',
        log_group_id: scene.group, log_stream_id: scene.stream,
        ...(log.description && { description: log.description }), ...log.more } })).flow_log.id;

    return {
        words: {},
        named: true,
        described: true,
        slow: true,
        between: ['pending', 'modifying', 'deleting'],
        pageSize: 2,
        create,
        async read(id) {
            const log = (await call('GET', `/${id}`)).flow_log;
            return { id: log.id, name: log.name, description: log.description || '', resource: log.resource_id,
                     state: log.state, enabled: log.enabled, destination: `${log.log_group_id}/${log.log_stream_id}` };
        },
        async pages(size) {
            const pages = [];
            let marker = '';
            do {
                const body = await call('GET', '', null, size ? { limit: size, ...(marker && { marker }) } : {});
                add(pages, body.flow_logs.map((log) => log.id));
                marker = (body.page_info && body.page_info.next_marker) || '';
            } while (size && marker);
            return pages;
        },
        filtered: async (resource) => (await call('GET', '', null, { resource_id: resource })).flow_logs.map((log) => log.id),
        rename: (id, name) => call('PUT', `/${id}`, { name }),
        describe: (id, description) => call('PUT', `/${id}`, { description }),
        clear: (id) => call('PUT', `/${id}`, { description: '' }),
        disable: (id) => call('POST', `/${id}/disable`),
        enable: (id) => call('POST', `/${id}/enable`),
        remove: (id) => call('DELETE', `/${id}`),
        writeGone: (id) => call('PUT', `/${id}`, { name: 'life-gone' }).then(() => ''),
        foreign: {
            member: (resource) => create({ resource, name: 'life-member', more: { nonsense: 'x' } }),
        },
        unknown: () => call('GET', '', null, { nonsense: 1 }),
        refusal: (error) => error.httpStatusCode &&
            { code: error.errorCode, status: error.httpStatusCode, note: error.errorMsg },
    };
}

live(make);
