// @aws-sdk/client-ec2: the EC2 Query protocol with XML replies and Signature Version 4. The cloud knows no
// update and no switch, and a flow log has neither name nor description: only tags, one of which is its
// name by convention.
'use strict';
const { EC2Client, CreateFlowLogsCommand, DescribeFlowLogsCommand, DeleteFlowLogsCommand,
        CreateTagsCommand, DeleteTagsCommand } = require('@aws-sdk/client-ec2');
const { add, live } = require('./life');

const UNKNOWN = 'fl-0123456789abcdef0';

function make(scene) {
    const client = new EC2Client({
        endpoint: `http://${scene.address}`, region: scene.region, maxAttempts: 1,
        credentials: { accessKeyId: scene.accessKey, secretAccessKey: scene.secret } });
    // an item that failed inside a success is a failure
    const whole = (reply) => {
        const [bad] = reply.Unsuccessful || [];
        if (bad)
            throw { name: bad.Error.Code, $metadata: { httpStatusCode: 200 }, message: bad.Error.Message };
        return reply;
    };
    const create = async (log) => whole(await client.send(new CreateFlowLogsCommand({
        ResourceIds: [log.resource], ResourceType: scene.resourceType, TrafficType: log.traffic,
        LogDestinationType: 'cloud-watch-logs', LogGroupName: scene.group,
        DeliverLogsPermissionArn: scene.role, ...log.more,
        TagSpecifications: [{ ResourceType: 'vpc-flow-log', Tags: [{ Key: 'Name', Value: log.name }, ...(log.tags || [])] }],
    }))).FlowLogIds[0];
    const list = async (more) => {
        const reply = await client.send(new DescribeFlowLogsCommand(more));
        return { rows: reply.FlowLogs || [], next: reply.NextToken };
    };

    const tagged = (row) => {
        const tags = Object.fromEntries((row.Tags || []).map((tag) => [tag.Key, tag.Value]));
        return { name: tags.Name, tag: tags.team };
    };

    return {
        words: { all: 'ALL', reject: 'REJECT' },
        named: true,
        pageSize: 5, // the least that the cloud takes
        create,
        async read(id) {
            const [row] = (await list({ FlowLogIds: [id] })).rows;
            return row && { id: row.FlowLogId, resource: row.ResourceId, traffic: row.TrafficType,
                            state: row.FlowLogStatus, enabled: row.FlowLogStatus === 'ACTIVE',
                            destination: row.LogGroupName, ...tagged(row) };
        },
        async pages(size) {
            const pages = [];
            let NextToken;
            do {
                const page = await list({ ...(size && { MaxResults: size }), ...(NextToken && { NextToken }) });
                add(pages, page.rows.map((row) => row.FlowLogId));
                NextToken = page.next;
            } while (NextToken);
            return pages;
        },
        filtered: async (resource) =>
            (await list({ Filter: [{ Name: 'resource-id', Values: [resource] }] })).rows.map((row) => row.FlowLogId),
        rename: (id, name) => client.send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'Name', Value: name }] })),
        tag: (id, Value) => client.send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'team', Value }] })),
        untag: (id) => client.send(new DeleteTagsCommand({ Resources: [id], Tags: [{ Key: 'team' }] })),
        remove: async (id) => whole(await client.send(new DeleteFlowLogsCommand({ FlowLogIds: [id] }))),
        writeGone: async () => {
            whole(await client.send(new DeleteFlowLogsCommand({ FlowLogIds: [UNKNOWN] })));
        },
        foreign: {
            interval: (resource) => create({ resource, name: 'life-interval', traffic: 'ALL', more: { MaxAggregationInterval: 60 } }),
            tags: (resource) => create({ resource, name: 'life-tags', traffic: 'ALL', tags: [{ Key: 'team', Value: 'net' }] }),
            member: (resource) => create({ resource, name: 'life-member', traffic: 'ALL', more: { LogFormat: '${srcaddr} ${dstaddr}' } }),
        },
        async unknown() {
            const crooked = new DescribeFlowLogsCommand({});
            crooked.middlewareStack.add((next) => (args) => {
                args.request.body += '&Nonsense=1';
                args.request.headers['content-length'] = String(args.request.body.length);
                return next(args);
            }, { step: 'build', priority: 'low' });
            await client.send(crooked);
        },
        refusal: (error) => error.$metadata && error.$metadata.httpStatusCode &&
            { code: error.name, status: error.$metadata.httpStatusCode, note: error.message },
    };
}

live(make);
