// @alicloud/pop-core, the older generic client: RPC with HMAC-SHA1 signatures, calls by name. The
// scene's `method` says whether parameters travel in the URL of a GET or in the form of a POST. XML, the
// format that an absent Format means, the client cannot read: those replies are read raw.
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const http = require('http');
const { RPCClient } = require('@alicloud/pop-core');
const { add, live, scene } = require('./life');

function make(given) {
    const client = new RPCClient({ endpoint: `http://${given.address}`, apiVersion: '2016-04-28',
                                   accessKeyId: given.accessKey, accessKeySecret: given.secret });
    const call = (action, more) => client.request(action, { RegionId: given.region, ...more },
                                                  { method: given.method, timeout: 15000 });
    const create = async (log) => (await call('CreateFlowLog', {
        FlowLogName: log.name, ...(log.description && { Description: log.description }),
        ResourceType: given.resourceType, ResourceId: log.resource, TrafficType: log.traffic,
        ProjectName: given.group, LogStoreName: given.stream, ...log.more })).FlowLogId;
    const rows = (body) => body.FlowLogs.FlowLog;
    const modify = (id, more) => call('ModifyFlowLogAttribute', { FlowLogId: id, ...more });

    return {
        call,
        words: { all: 'All', reject: 'Drop' },
        named: true,
        described: true,
        slow: true,
        between: ['Activating', 'Modifying', 'Deactivating', 'Deleting'],
        pageSize: 2,
        create,
        async read(id) {
            const [row] = rows(await call('DescribeFlowLogs', { FlowLogId: id }));
            return row && {
                id: row.FlowLogId, name: row.FlowLogName, description: row.Description || '',
                resource: row.ResourceId, traffic: row.TrafficType, state: row.Status,
                enabled: row.Status !== 'Inactive', destination: `${row.ProjectName}/${row.LogStoreName}` };
        },
        async pages(size) {
            const pages = [];
            for (let number = 1; ; number++) {
                const body = await call('DescribeFlowLogs', { PageSize: size || 50, PageNumber: number });
                add(pages, rows(body).map((row) => row.FlowLogId));
                if (number * Number(body.PageSize) >= Number(body.TotalCount))
                    return pages;
            }
        },
        filtered: async (resource) => rows(await call('DescribeFlowLogs', { ResourceId: resource })).map((row) => row.FlowLogId),
        rename: (id, name) => modify(id, { FlowLogName: name }),
        describe: (id, text) => modify(id, { Description: text }),
        clear: (id) => modify(id, { Description: '' }),
        disable: (id) => call('DeactiveFlowLog', { FlowLogId: id }),
        enable: (id) => call('ActiveFlowLog', { FlowLogId: id }),
        remove: (id) => call('DeleteFlowLog', { FlowLogId: id }),
        writeGone: (id) => call('ActiveFlowLog', { FlowLogId: id }).then(() => ''),
        foreign: {
            interval: (resource) => create({ resource, name: 'life-interval', traffic: 'All', more: { AggregationInterval: 5 } }),
            tags: (resource) => create({ resource, name: 'life-tags', traffic: 'All', more: { Tag: [{ Key: 'team', Value: 'net' }] } }),
            member: (resource) => create({ resource, name: 'life-member', traffic: 'All', more: { IpVersion: 'DualStack' } }),
        },
        unknown: () => call('DescribeFlowLogs', { Nonsense: '1' }),
        // the same signed request twice: its nonce was used
        async again() {
            const signed = signedQuery('DescribeFlowLogs', {}, 'JSON');
            assert.strictEqual((await raw(signed)).status, 200);
            const second = await raw(signed);
            const body = JSON.parse(second.body);
            if (body.Code)
                throw { code: body.Code, entry: { response: { statusCode: second.status } }, message: body.Message };
        },
        refusal: (error) => error.code && error.entry &&
            { code: error.code, status: error.entry.response.statusCode, note: String(error.message).replace(/, URL: .*/s, '') },
    };
}

const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase());

function signedQuery(action, more, format) {
    const all = { Action: action, Version: '2016-04-28', RegionId: scene.region, AccessKeyId: scene.accessKey,
                  SignatureMethod: 'HMAC-SHA1', SignatureVersion: '1.0', SignatureNonce: crypto.randomUUID(),
                  Timestamp: new Date().toISOString().replace(/\.\d+Z/, 'Z'), ...(format && { Format: format }), ...more };
    const canonical = Object.keys(all).sort().map((name) => `${encode(name)}=${encode(all[name])}`).join('&');
    const signature = crypto.createHmac('sha1', scene.secret + '&').update(`GET&%2F&${encode(canonical)}`).digest('base64');
    return `${canonical}&Signature=${encode(signature)}`;
}

function raw(query) {
    return new Promise((good, bad) => {
        http.get(`http://${scene.address}/?${query}`, (reply) => {
            let body = '';
            reply.setEncoding('utf8').on('data', (piece) => { body += piece; })
                .on('end', () => good({ status: reply.statusCode, type: reply.headers['content-type'], body }));
        }).on('error', bad);
    });
}

// XML as the older clients of other languages read it: here with a reader that knows nothing of us.
async function xml(adapter) {
    const { parseStringPromise } = require('xml2js');
    const read = async (query) => {
        const reply = await raw(query);
        assert(/^(text|application)\/xml/.test(reply.type), `${reply.status} ${reply.type} ${reply.body}`);
        return { status: reply.status, root: await parseStringPromise(reply.body, { explicitArray: false }) };
    };
    const tell = (step, saw, more) => process.stdout.write(JSON.stringify({ step, saw, ...more }) + '\n');
    const step = async (name, act) => {
        try {
            tell(name, 'done', { note: await act() || '' });
        } catch (error) {
            tell(name, 'failed', { note: String(error.stack || error).slice(0, 1500) });
        }
    };
    let id;
    await step('XML create', async () => {
        const { status, root } = await read(signedQuery('CreateFlowLog', {
            FlowLogName: 'life-xml', ResourceType: scene.resourceType, ResourceId: scene.resources[3],
            TrafficType: 'All', ProjectName: scene.group, LogStoreName: scene.stream }, 'XML'));
        assert.strictEqual(status, 200, JSON.stringify(root));
        assert.deepStrictEqual(Object.keys(root), ['CreateFlowLogResponse']);
        id = root.CreateFlowLogResponse.FlowLogId;
        assert(id && root.CreateFlowLogResponse.RequestId, JSON.stringify(root));
    });
    await step('XML list', async () => { // Format absent means XML
        const { root } = await read(signedQuery('DescribeFlowLogs', { FlowLogId: id }));
        const row = root.DescribeFlowLogsResponse.FlowLogs.FlowLog;
        assert.strictEqual(row.FlowLogId, id, JSON.stringify(root));
        assert.strictEqual(row.FlowLogName, 'life-xml');
        assert.strictEqual(root.DescribeFlowLogsResponse.TotalCount, '1');
    });
    await step('XML error', async () => {
        const { status, root } = await read(signedQuery('CreateFlowLog', { Nonsense: '1' }, 'XML'));
        assert.deepStrictEqual(Object.keys(root), ['Error']);
        assert.strictEqual(status, 400);
        assert(root.Error.Code && root.Error.RequestId, JSON.stringify(root));
        return root.Error.Code;
    });
    await step('XML clean', async () => {
        const end = Date.now() + 20000;
        while ((await adapter.read(id)).state === 'Activating')
            assert(Date.now() < end, 'still Activating');
        await adapter.remove(id);
        while (await adapter.read(id))
            assert(Date.now() < end, 'still there');
    });
}

live(make).then(() => scene.xml && xml(make(scene)));
