//! The interface of `wit/1.1`, as generated code: what a component imports and exports.
//!
//! A component that was built for another 1.x links and answers all the same: names are found by their major version.
//! Parameters of exports borrow, so that a message's text is copied once: into the guest. Knows no limits, no checks.
#![allow(missing_docs, unsafe_code, dead_code, rust_2018_idioms, clippy::all)] // Generated; its unsafe code asserts the types that it has just checked.

wasmtime::component::bindgen!({
    path: "../wit/1.1",
    inline: "
        package chat:host;
        world every-role {
            include chat:plugin/moderator@1.1.0;
            include chat:plugin/commander@1.1.0;
            include chat:plugin/formatter@1.1.0;
            include chat:plugin/reviewer@1.1.0;
            include chat:plugin/timekeeper@1.1.0;
            include chat:plugin/migrator@1.1.0;
        }
    ",
    world: "chat:host/every-role",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
    exports: { default: async },
});
