/** Element types by name: TensorProto.DataType and OrtTensorElementDataType, whose numbers agree. */

export const elementTypes = { f32: 1, u8: 2, i8: 3, i32: 6, i64: 7, f16: 10 } as const;

export type ElementName = keyof typeof elementTypes;

export const elementBytes: Readonly<Record<ElementName, number>> = { f32: 4, u8: 1, i8: 1, i32: 4, i64: 8, f16: 2 };
