/**
 * Receives a slot's changes and drops them, counted, in a process of its own: source URI, slot, publication, end LSN. Says the number of
 * row changes on stderr once everything before that LSN has come, then waits to be stopped.
 */
import { lsnFrom, parseLsn } from '../../../src/engine/change/lsn.ts';
import { connect } from '../../../src/engine/pg/connect.ts';
import { parseConninfo } from '../../../src/engine/pg/conninfo/parse.ts';
import { literal } from '../../../src/engine/pg/ident.ts';
import { FrameReader } from '../../../src/engine/pg/wire/frames.ts';
import { copyDataMessage, queryMessage, TYPE } from '../../../src/engine/pg/wire/messages.ts';

const [source = '', slot = '', publication = '', end = ''] = process.argv.slice(2);
const goal = parseLsn(end);
const session = await connect(parseConninfo(source, 'source'), {
  side: 'source',
  applicationName: 'bench',
  replication: true,
});
const wire = session.takeWire();
const frames = new FrameReader();
let changes = 0;
let isOver = false;

const CHANGES = new Set(['I', 'U', 'D', 'T'].map((type) => type.charCodeAt(0)));

function onFrame(type: number, payload: Buffer): void {
  if (type === TYPE.error) throw new Error(payload.toString('latin1'));
  if (type !== TYPE.copyData) return;
  if (payload[0] === 0x77) {
    if (CHANGES.has(payload[25] ?? 0)) changes++;
  } else if (payload[17] === 1) sendStatus(payload.readBigUInt64BE(1));
  // Of a commit the message's own start is the end of the transaction; keepalives tell how far all has been read.
  if (!isOver && payload.readBigUInt64BE(1) >= goal) {
    isOver = true;
    process.stderr.write(`${changes}\n`);
  }
}

function sendStatus(lsn: bigint): void {
  const body = Buffer.alloc(34);
  body.write('r', 0, 'latin1');
  for (const at of [1, 9, 17]) body.writeBigUInt64BE(lsnFrom(lsn), at);
  wire.write(copyDataMessage(body));
}

wire.listen({
  chunk: (bytes) => frames.feed(bytes, onFrame),
  closed: (error) => {
    throw error;
  },
});
const settings = `proto_version '1', publication_names ${literal(publication)}`;
wire.write(queryMessage(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (${settings})`));
