(module
  (import "alga" "log_info" (func $log (param i32 i32)))
  (import "alga" "storage.get" (func $get (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "handler") (param i32 i32 i32) (result i32)
    (call $log (local.get 0) (local.get 1))
    (call $get (local.get 0) (local.get 1) (local.get 2))))
