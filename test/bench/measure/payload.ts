/** What is cached. Every key has another one, so that a wrong answer shows. */
export interface Item {
  readonly id: number;
  readonly name: string;
  readonly tags?: readonly string[];
  readonly variants?: readonly Variant[];
}

interface Variant {
  readonly sku: string;
  readonly title: string;
  readonly price: number;
  readonly inStock: boolean;
  readonly sizes: readonly number[];
}

/** The sizes that are measured, as they stand in the report. */
export const SIZES = ['60 B', '2 KB', '58 KB'] as const;

export type Size = (typeof SIZES)[number];

/** How many variants make an item so large, as JSON. */
const VARIANTS: Readonly<Record<Size, number>> = { '60 B': 0, '2 KB': 17, '58 KB': 505 };

/** Makes items of one size; all share what is below their first level, so that making one takes no time. */
export function itemsOf(size: Size): (id: number) => Item {
  const count = VARIANTS[size];
  if (count === 0) return (id) => ({ id, name: 'A place with a name of forty letters' });
  const variants = Array.from({ length: count }, (_, index) => variant(index));
  const tags = ['catalogue', 'summer', 'outdoor'];
  return (id) => ({ id, name: 'A product with a name of some length', tags, variants });
}

function variant(index: number): Variant {
  return {
    sku: `SKU-${String(index).padStart(8, '0')}`,
    title: `Trekking jacket, variant ${index}`,
    price: 12_900 + index,
    inStock: index % 3 !== 0,
    sizes: [36, 38, 40, 42],
  };
}
