/** Text for a terminal: names made harmless, columns aligned, colour where it is wanted. */
import type { CliContext, Output } from '../context.ts';

/** Control characters of a name as `\xNN`: they would move the cursor or forge a line. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (char) => {
    const code = char.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** Rows under a header, two spaces apart, the last column unpadded. Columns named in `right` are aligned right (numbers). */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[] = [],
): string[] {
  const cells = [header, ...rows.map((row) => row.map(printable))];
  const widths = header.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, at) =>
        right.includes(header[at] ?? '') ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

const COLOURS = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 } as const;

/** Colours text for a terminal that wants colours; else gives it back as it is. */
export type Paint = (colour: keyof typeof COLOURS, text: string) => string;

export function painter({ config }: CliContext, output: Output): Paint {
  const wanted = output.isTTY && !config.noColor && !config.dumbTerminal;
  return (colour, text) => (wanted ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text);
}

/** A piece of a line, coloured or not. */
export type Cell = readonly [text: string, colour?: keyof typeof COLOURS];

export function plain(text: string): Cell[] {
  return [[text]];
}

/** The cells side by side, cut at so many columns: colours take none, and are never cut in the middle. */
export function fitted(cells: readonly Cell[], columns: number, paint: Paint): string {
  let room = Math.max(0, columns);
  return cells
    .map(([text, colour]) => {
      const shown = text.slice(0, room);
      room -= shown.length;
      return colour && shown !== '' ? paint(colour, shown) : shown;
    })
    .join('');
}
