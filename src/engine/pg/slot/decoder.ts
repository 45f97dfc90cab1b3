/** What an output plugin's messages mean; the stream itself (frames, positions, status) is the same for all of them. */

/** The output plugins that are understood. */
export type Decoder = 'pgoutput' | 'test_decoding';

/** Bytes of XLogData before a message: kind, where it lies in the log (64 bit), the end of the log, a clock. */
export const WAL_DATA_HEADER = 25;

export interface MessageDecoder<Message> {
  /** The plugin's options, as START_REPLICATION takes them. */
  readonly settings: string;
  /** The message lies in `bytes` from `begin` to `end`, right behind its XLogData header. Throws on what cannot be understood. */
  decode(bytes: Buffer, begin: number, end: number): Message;
}
