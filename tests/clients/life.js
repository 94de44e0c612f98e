// The life of a flow log as a client sees it, the same for every client. An adapter (alicloud-vpc.js
// and its neighbours) says how its client does each step; this file does them in order and prints one
// JSON line a step: what was seen, never what was hoped for. `run` compares.
//
// {"step", "saw": "done" | "refused" | "failed", "code", "status", "note"}
//   done     it happened, and what was read back says so
//   refused  the other side said no, in its dialect's words: `code`, and the HTTP `status`
//   failed   anything else; `note` tells
'use strict';
const assert = require('assert');
const fs = require('fs');

const scene = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const made = []; // ids of flow logs that stand

function tell(step, saw, more) {
    process.stdout.write(JSON.stringify({ step, saw, ...more }) + '\n');
}

// One step: `act` answers a note, or throws. Answers whether it happened.
async function step(adapter, name, act) {
    try {
        tell(name, 'done', { note: await act() || '' });
        return true;
    } catch (error) {
        const said = error instanceof assert.AssertionError ? null : adapter.refusal(error);
        if (said)
            tell(name, 'refused', said);
        else
            tell(name, 'failed', { note: String(error.stack || error).slice(0, 1500) });
        return false;
    }
}

const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

// Reads until the flow log is in none of the states between two others.
async function settled(adapter, id) {
    const end = Date.now() + 20000;
    for (;;) {
        const log = await adapter.read(id);
        if (!log || !adapter.between || !adapter.between.includes(log.state))
            return log;
        assert(Date.now() < end, `still ${log.state}`);
        await pause(120);
    }
}

// One more page of a list; where it would never end, that is told.
function add(pages, ids) {
    pages.asked = (pages.asked || 0) + 1;
    assert(pages.asked < 20, `the list does not end: ${JSON.stringify(pages.slice(0, 4))}`);
    if (ids.length)
        pages.push(ids);
}

async function create(adapter, index, more) {
    const id = await adapter.create({ resource: scene.resources[index], name: `life-${index}`,
                                      traffic: adapter.words.all, ...more });
    assert(id, 'the reply has no id');
    made.push(id);
    return id;
}

async function expect(adapter, id, wanted) {
    const log = await settled(adapter, id);
    assert(log, 'not there any more');
    for (const [name, value] of Object.entries(wanted))
        assert.strictEqual(log[name], value, `${name} is ${JSON.stringify(log[name])}: ${JSON.stringify(log)}`);
    return log;
}

async function birth(adapter) {
    let first;
    await step(adapter, 'create', async () => {
        first = await create(adapter, 0);
        const log = await settled(adapter, first);
        assert(log, 'not there after its creation');
        return log.state;
    });
    if (!first)
        return null;
    await step(adapter, 'read', async () => {
        const wanted = { id: first, resource: scene.resources[0], enabled: true };
        if (scene.destination)
            wanted.destination = scene.destination;
        if (adapter.words.all && scene.filters)
            wanted.traffic = adapter.words.all;
        if (adapter.named)
            wanted.name = 'life-0';
        await expect(adapter, first, wanted);
    });
    await step(adapter, 'duplicate', () => create(adapter, 0));
    return first;
}

async function members(adapter) {
    if (adapter.words.reject)
        await step(adapter, 'filtered', async () => {
            const id = await create(adapter, 1, { traffic: adapter.words.reject });
            await expect(adapter, id, { traffic: adapter.words.reject });
        });
    if (adapter.described)
        await step(adapter, 'described', async () => {
            const text = 'what "is" <this> & that, ü? * (1/2) + 3%'.replace(/[<>]/g, '');
            const id = await create(adapter, 2, { description: text });
            await expect(adapter, id, { description: text });
        });
    for (const [name, act] of Object.entries(adapter.foreign || {}))
        await step(adapter, `foreign ${name}`, async () => {
            const id = await act(scene.resources[3]);
            await away(adapter, id);
        });
}

async function pages(adapter) {
    const count = Math.max(5, adapter.pageSize + 2);
    await step(adapter, 'pages', async () => {
        for (let index = 4; made.length < count; index++)
            await create(adapter, index);
        if (adapter.between)
            for (const id of made)
                await settled(adapter, id);
        const seen = await adapter.pages(adapter.pageSize);
        const ids = seen.flat();
        assert(seen.length > 1, `all on one page: ${JSON.stringify(seen)}`);
        assert(seen.every((page) => page.length <= adapter.pageSize), JSON.stringify(seen));
        assert.deepStrictEqual([...ids].sort(), [...made].sort());
        return `${ids.length} in ${seen.length} pages`;
    });
    await step(adapter, 'whole list', async () => {
        const ids = (await adapter.pages(0)).flat();
        assert.deepStrictEqual([...ids].sort(), [...made].sort());
    });
    if (adapter.filtered)
        await step(adapter, 'select', async () => {
            const ids = await adapter.filtered(scene.resources[0]);
            assert.deepStrictEqual(ids, [made[0]]);
        });
}

async function changes(adapter, id) {
    const change = (name, act, wanted) => step(adapter, name, async () => {
        await act();
        await expect(adapter, id, wanted);
    });
    if (adapter.rename)
        await change('rename', () => adapter.rename(id, 'life-renamed'), { name: 'life-renamed', enabled: true });
    if (adapter.tag) {
        await change('tag', () => adapter.tag(id, 'net'), { tag: 'net', name: 'life-renamed' });
        await change('untag', () => adapter.untag(id), { tag: undefined, name: 'life-renamed' });
    }
    if (adapter.describe) {
        await change('describe', () => adapter.describe(id, 'second words'), { description: 'second words' });
        if (adapter.clear)
            await change('clear', () => adapter.clear(id), { description: '' });
    }
    if (adapter.disable) {
        await change('disable', () => adapter.disable(id), { enabled: false });
        if (adapter.rename)
            await change('rename while disabled', () => adapter.rename(id, 'life-again'),
                         { name: 'life-again', enabled: scene.switches ? false : true });
        await change('enable', () => adapter.enable(id), { enabled: true });
    }
}

async function vanished(adapter, id) {
    const end = Date.now() + 20000;
    for (;;) {
        let log = null;
        try {
            log = await adapter.read(id);
        } catch (error) {
            const said = adapter.refusal(error);
            if (!said)
                throw error;
            return said;
        }
        if (!log)
            return null;
        assert(adapter.slow && Date.now() < end, `still there: ${JSON.stringify(log)}`);
        await pause(120);
    }
}

// Deleted, and waited for where that takes a while.
async function away(adapter, id) {
    if (adapter.between)
        await settled(adapter, id);
    await adapter.remove(id);
    if (adapter.slow)
        await vanished(adapter, id);
}

async function death(adapter, id) {
    await step(adapter, 'delete', async () => {
        await adapter.remove(id);
        await vanished(adapter, id);
    });
    await step(adapter, 'read what is gone', async () => {
        const log = await adapter.read(id);
        assert(!log, JSON.stringify(log));
        return 'an empty list';
    });
    await step(adapter, 'write what is gone', () => adapter.writeGone(id));
    await step(adapter, 'clean', async () => {
        for (const other of made.filter((one) => one !== id))
            await away(adapter, other);
        assert.deepStrictEqual((await adapter.pages(0)).flat(), []);
    });
}

// The clock that JavaScript sees, shifted while `act` runs; what starts processes looks at `late`.
async function late(act) {
    const Real = Date, shift = 20 * 60 * 1000;
    globalThis.Date = class extends Real {
        constructor(...given) {
            if (given.length)
                super(...given);
            else
                super(Real.now() + shift);
        }
        static now() {
            return Real.now() + shift;
        }
    };
    try {
        return await act();
    } finally {
        globalThis.Date = Real;
    }
}

async function refusals(adapter, make) {
    const wrong = make({ ...scene, secret: 'not-the-secret' });
    const stranger = make({ ...scene, accessKey: 'NOBODYSKEY' });
    await step(adapter, 'wrong secret', () => wrong.pages(0).then(() => ''));
    await step(adapter, 'unknown key', () => stranger.pages(0).then(() => ''));
    await step(adapter, 'clock', () => late(() => make({ ...scene, late: true }).pages(0)).then(() => ''));
    const reader = make({ ...scene, ...scene.reader });
    await step(adapter, 'reader reads', () => reader.pages(0).then(() => ''));
    await step(adapter, 'reader writes', () => reader.create(
        { resource: scene.resources[9], name: 'life-reader', traffic: adapter.words.all }));
    await step(adapter, 'unknown parameter', () => adapter.unknown().then(() => ''));
    if (adapter.again)
        await step(adapter, 'replay', () => adapter.again().then(() => ''));
}

// make(scene): an adapter for the door that the scene tells of.
async function live(make) {
    const adapter = make(scene);
    await refusals(adapter, make);
    const id = await birth(adapter);
    if (!id)
        return;
    await members(adapter);
    await pages(adapter);
    await changes(adapter, id);
    await death(adapter, id);
}

module.exports = { add, live, pause, scene };
