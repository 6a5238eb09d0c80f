;; Source of meter.wasm (208 bytes), which counts SQLite's allocations and planner steps inside WebAssembly. SQLite calls these
;; functions through its function table, which accepts only WebAssembly functions, and a call into JavaScript for each allocation
;; would take longer than the allocation. `wat2wasm meter.wat` builds it.
(module
  (import "e" "m" (func $malloc (param i32) (result i32)))
  (import "e" "r" (func $realloc (param i32 i32) (result i32)))
  ;; Remaining planning units. A double does not wrap around when it passes zero.
  (global $left (export "l") (mut f64) (f64.const 0))
  ;; An allocation costs its bytes plus 64. Past the allowance every allocation fails, from which SQLite recovers anywhere.
  (func (export "m") (param $bytes i32) (result i32)
    (global.set $left (f64.sub (global.get $left) (f64.add (f64.convert_i32_u (local.get $bytes)) (f64.const 64))))
    (if (result i32) (f64.lt (global.get $left) (f64.const 0))
      (then (i32.const 0))
      (else (call $malloc (local.get $bytes)))))
  ;; Lists grow by one element at a time: the existing elements are already paid for, and are only copied.
  (func (export "r") (param $at i32) (param $bytes i32) (result i32)
    (global.set $left (f64.sub (global.get $left)
      (f64.add (f64.mul (f64.convert_i32_u (local.get $bytes)) (f64.const 0.0625)) (f64.const 64))))
    (if (result i32) (f64.lt (global.get $left) (f64.const 0))
      (then (i32.const 0))
      (else (call $realloc (local.get $at) (local.get $bytes)))))
  ;; The progress handler, which SQLite calls every 100 planner steps. Any result but 0 interrupts the planner.
  (func (export "p") (param $unused i32) (result i32)
    (global.set $left (f64.sub (global.get $left) (f64.const 4000)))
    (f64.lt (global.get $left) (f64.const 0))))
