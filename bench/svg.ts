/** A bar chart as SVG: the CPU time of one request, front and back. Readable on light and on dark pages. */

export interface Bar {
  readonly name: string;
  /** The parts of the bar, in the order of the legend. */
  readonly parts: readonly number[];
  /** Behind the bar. */
  readonly note: string;
  /** Stands out. */
  readonly isOurs: boolean;
}

export interface Chart {
  readonly title: string;
  readonly legend: readonly string[];
  readonly bars: readonly Bar[];
}

const WIDTH = 820;
const NAME_WIDTH = 250;
const NOTE_WIDTH = 190;
const ROW = 24;
const BAR = 15;
const TOP = 62;
const OURS = ['#c2410c', '#fb923c'];
const OTHERS = ['#475569', '#94a3b8'];

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
const px = (value: number): string => String(Math.round(value * 10) / 10);

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${px(x)}" y="${px(y)}"${more}>${escape(content)}</text>`;
}

function rect(x: number, y: number, width: number, fill: string): string {
  if (width <= 0) return '';
  return `<rect x="${px(x)}" y="${px(y)}" width="${px(width)}" height="${BAR}" fill="${fill}"/>`;
}

function row(bar: Bar, y: number, scale: number): string {
  const colors = bar.isOurs ? OURS : OTHERS;
  let x = NAME_WIDTH;
  const rects = bar.parts.map((part, i) => {
    const drawn = rect(x, y, part * scale, colors[i % colors.length] ?? '');
    x += part * scale;
    return drawn;
  });
  const weight = bar.isOurs ? ' font-weight="600"' : '';
  const name = text(NAME_WIDTH - 10, y + BAR - 3, bar.name, ` text-anchor="end"${weight}`);
  return [name, ...rects, text(x + 8, y + BAR - 3, bar.note)].join('');
}

/** @returns an SVG document. */
export function draw({ title, legend, bars }: Chart): string {
  const longest = Math.max(1e-9, ...bars.map(({ parts }) => parts.reduce((a, b) => a + b, 0)));
  const scale = (WIDTH - NAME_WIDTH - NOTE_WIDTH) / longest;
  const height = TOP + bars.length * ROW + 10;
  const marks = legend.map((name, i) => {
    const x = NAME_WIDTH + i * 150;
    return rect(x, 32, BAR, OTHERS[i % OTHERS.length] ?? '') + text(x + BAR + 6, 44, name);
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13">`,
    '<style>text{fill:#1e293b}@media(prefers-color-scheme:dark){text{fill:#e2e8f0}}</style>',
    text(10, 20, title, ' font-size="15" font-weight="600"'),
    ...marks,
    ...bars.map((bar, i) => row(bar, TOP + i * ROW, scale)),
    '</svg>',
    '',
  ].join('\n');
}
