// Quads: four elements that are contiguous in an operand.

override A_K_CONTIGUOUS: bool;
override B_K_CONTIGUOUS: bool;

// Four elements, or zeros where the operand does not hold them. Zeros are selected when staging: here that would wait for the load.
struct Quad {
    values: vec4<f32>,
    is_held: bool,
}
