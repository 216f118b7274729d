//! Small components that each show one behaviour, most of them bad. Every file
//! in `examples/` is one component with its manifest beside this folder.
