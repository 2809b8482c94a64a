//! The interface of `wit/1.0`, as generated code: what a component imports and exports.
//!
//! Parameters of exports borrow, so that a message's text is copied once: into the guest. Knows no limits, no checks.
#![allow(missing_docs, unsafe_code, dead_code, rust_2018_idioms, clippy::all)] // Generated; its unsafe code asserts the types that it has just checked.

wasmtime::component::bindgen!({
    path: "../wit/1.0",
    inline: "
        package chat:host;
        world every-role {
            include chat:plugin/moderator@1.0.0;
            include chat:plugin/commander@1.0.0;
            include chat:plugin/formatter@1.0.0;
            include chat:plugin/reviewer@1.0.0;
            include chat:plugin/timekeeper@1.0.0;
        }
    ",
    world: "chat:host/every-role",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
    exports: { default: async },
});
