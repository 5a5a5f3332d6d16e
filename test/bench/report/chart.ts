import { init } from 'echarts';
import type { Chart } from '../part.js';

const WIDTH = 860;
const LINE_CHART_HEIGHT = 360;
const BAR_HEIGHT = 22;
const AROUND_BARS = 130;

/** Draws a chart as SVG, on white, so that it can be read on a dark page too. */
export async function drawChart(chart: Chart): Promise<string> {
  const bars = chart.categories.length * chart.series.length;
  const height = chart.kind === 'lines' ? LINE_CHART_HEIGHT : AROUND_BARS + bars * BAR_HEIGHT;
  const drawing = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  try {
    const values = {
      type: chart.isLogarithmic === true ? ('log' as const) : ('value' as const),
      name: chart.unit,
    };
    const categories = { type: 'category' as const, data: [...chart.categories] };
    drawing.setOption({
      animation: false,
      backgroundColor: '#fff',
      title: { text: chart.title, left: 16, top: 8, textStyle: { fontSize: 15 } },
      legend: chart.series.length > 1 ? { top: 36, left: 16 } : undefined,
      grid: { left: 16, right: 60, top: 72, bottom: 32, containLabel: true },
      ...(chart.kind === 'lines'
        ? { xAxis: categories, yAxis: { ...values, nameTextStyle: { align: 'left' } } }
        : {
            xAxis: { ...values, nameLocation: 'middle', nameGap: 28 },
            yAxis: { ...categories, inverse: true },
          }),
      series: chart.series.map(({ name, values: data }) => ({
        name,
        type: chart.kind === 'lines' ? ('line' as const) : ('bar' as const),
        data: data.map((value) => (value === undefined ? '-' : Number(value.toPrecision(3)))),
        label: { show: chart.kind === 'bars', position: 'right' as const, fontSize: 11 },
      })),
    });
    return drawing.renderToSVGString();
  } finally {
    drawing.dispose();
  }
}
