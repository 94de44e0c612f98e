// The AWS command line (Debian's awscli), one process a call. faketime gives it the wrong clock.
'use strict';
const { execFile } = require('child_process');
const { add, live } = require('./life');

const AWS = '/usr/bin/aws';
const UNKNOWN = 'fl-0123456789abcdef0';

function make(scene) {
    const env = { PATH: process.env.PATH, HOME: '/nonexistent', AWS_ACCESS_KEY_ID: scene.accessKey,
                  AWS_SECRET_ACCESS_KEY: scene.secret, AWS_DEFAULT_REGION: scene.region, AWS_MAX_ATTEMPTS: '1',
                  AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' };
    const ec2 = (...words) => new Promise((good, bad) => {
        const command = [AWS, 'ec2', ...words, '--endpoint-url', `http://${scene.address}`, '--output', 'json',
                         '--no-cli-pager', '--cli-read-timeout', '20'];
        if (scene.late)
            command.unshift('faketime', '-f', '+20m');
        execFile(command[0], command.slice(1), { env, encoding: 'utf8' }, (error, out, told) => {
            const said = /An error occurred \(([^)]+)\) when calling the \S+ operation(?: \(reached[^)]*\))?: (.*)/s.exec(told);
            if (said)
                bad({ code: said[1], note: said[2].trim() });
            else if (error)
                bad(new Error(`${error.message} ${told}`));
            else
                good(out ? JSON.parse(out) : {});
        });
    });
    const whole = (reply) => {
        const [item] = reply.Unsuccessful || [];
        if (item)
            throw { code: item.Error.Code, note: item.Error.Message };
        return reply;
    };
    const create = async (log) => whole(await ec2('create-flow-logs', '--resource-ids', log.resource,
        '--resource-type', scene.resourceType, '--traffic-type', log.traffic,
        '--log-destination-type', 'cloud-watch-logs', '--log-group-name', scene.group,
        '--deliver-logs-permission-arn', scene.role, '--tag-specifications',
        `ResourceType=vpc-flow-log,Tags=[{Key=Name,Value=${log.name}}${log.tags || ''}]`, ...(log.more || []))).FlowLogIds[0];
    const list = (...words) => ec2('describe-flow-logs', ...words);

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
            const [row] = (await list('--flow-log-ids', id)).FlowLogs;
            return row && { id: row.FlowLogId, resource: row.ResourceId, traffic: row.TrafficType,
                            state: row.FlowLogStatus, enabled: row.FlowLogStatus === 'ACTIVE',
                            destination: row.LogGroupName, ...tagged(row) };
        },
        // --page-size makes the command line itself walk through the pages: how many, only --debug tells
        async pages(size) {
            const pages = [];
            let next;
            do {
                const reply = size
                    ? await list('--no-paginate', '--max-results', String(size), ...(next ? ['--next-token', next] : []))
                    : await list('--page-size', '5');
                add(pages, reply.FlowLogs.map((row) => row.FlowLogId));
                next = reply.NextToken;
            } while (next);
            return pages;
        },
        filtered: async (resource) =>
            (await list('--filter', `Name=resource-id,Values=${resource}`)).FlowLogs.map((row) => row.FlowLogId),
        rename: (id, name) => ec2('create-tags', '--resources', id, '--tags', `Key=Name,Value=${name}`),
        tag: (id, value) => ec2('create-tags', '--resources', id, '--tags', `Key=team,Value=${value}`),
        untag: (id) => ec2('delete-tags', '--resources', id, '--tags', 'Key=team'),
        remove: async (id) => whole(await ec2('delete-flow-logs', '--flow-log-ids', id)),
        writeGone: async () => {
            whole(await ec2('delete-flow-logs', '--flow-log-ids', UNKNOWN));
        },
        foreign: {
            interval: (resource) => create({ resource, name: 'life-interval', traffic: 'ALL', more: ['--max-aggregation-interval', '60'] }),
            tags: (resource) => create({ resource, name: 'life-tags', traffic: 'ALL', tags: ',{Key=team,Value=net}' }),
            member: (resource) => create({ resource, name: 'life-member', traffic: 'ALL', more: ['--log-format', '${srcaddr} ${dstaddr}'] }),
        },
        // it sends only what it knows: a filter that the cloud does not know
        unknown: () => list('--filter', 'Name=nonsense,Values=1'),
        refusal: (error) => error.code && !(error instanceof Error) && { code: error.code, note: error.note },
    };
}

live(make);
