// What a subgroup does together: loads, multiplies and stores matrices, (M, K) by (K, N). Before this file
// stand the constants of the device, M, N, K and SUBGROUP, and UNIT, the bytes that offsets and strides count
// (matrix/kernel.ts).

alias Left = subgroup_matrix_left<i8, K, M>;
alias Right = subgroup_matrix_right<i8, N, K>;
alias Result = subgroup_matrix_result<i32, N, M>;

// K channels of M sites, from this byte of workgroup memory on.
fn left(byte: u32) -> Left {
  return subgroupMatrixLoad<Left, row_major>(&memory, byte / UNIT, SITE_BYTES / UNIT);
}

// Weights of K channels for N outputs, from this byte on.
fn right(byte: u32) -> Right {
  return subgroupMatrixLoad<Right, col_major>(&weights, byte / UNIT, K / UNIT);
}

fn multiply_add(a: Left, b: Right, sum: Result) -> Result {
  return subgroupMatrixMultiplyAccumulate(a, b, sum);
}

// Writes the three sums of a result to workgroup memory, from this word on.
fn store_parts(at: u32, high: Result, middle: Result, low: Result) {
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&memory, at, high, N);
  subgroupMatrixStore<row_major>(&memory, at + PART, middle, N);
  subgroupMatrixStore<row_major>(&memory, at + 2u * PART, low, N);
  workgroupBarrier();
}
