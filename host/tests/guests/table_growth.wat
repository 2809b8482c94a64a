;; A moderation plugin that grows a table as far as it can before anybody calls it.
;;
;; `table_growth.wasm` beside it is this module made into a component: the crates `wat`, and `wit-component` with the
;; world `moderator` of `wit/1.0`. It is kept built, because those crates would change how the host's own are built.
(module
  (table 1 funcref)
  (memory (export "memory") 1)
  (func $grow
    (loop $on
      (br_if $on (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1))))
    unreachable)
  (start $grow)
  (func (export "chat:plugin/plugin@1.0.0#describe") (result i32) unreachable)
  (func (export "chat:plugin/plugin@1.0.0#start") (param i32 i32) (result i32) unreachable)
  (func (export "chat:plugin/moderation@1.0.0#moderate") (param i32 i32) (result i32) unreachable)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))
