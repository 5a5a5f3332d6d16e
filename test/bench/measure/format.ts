/** 1234567 as "1.23 M", 12345 as "12.3 k". */
export function short(number: number): string {
  if (number >= 1e6) return `${digits(number / 1e6)} M`;
  if (number >= 1e3) return `${digits(number / 1e3)} k`;
  return digits(number);
}

/** Three digits that count. */
export function digits(number: number): string {
  if (number >= 100) return number.toFixed(0);
  return number >= 10 ? number.toFixed(1) : number.toFixed(2);
}

/** 1.234 as "1.23 x". */
export function times(ratio: number): string {
  return `${ratio.toFixed(2)} x`;
}

/** 0.034 as "±3 %". */
export function plusMinus(share: number): string {
  return `±${(share * 100).toFixed(0)} %`;
}

/** 1048576 as "1.05 MB". */
export function megabytes(bytes: number): string {
  return `${digits(bytes / 1e6)} MB`;
}
