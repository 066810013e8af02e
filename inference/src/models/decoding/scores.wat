;; Loops over the scores of a vocabulary, whose vector instructions make them five times as fast as JavaScript. The numbers begin at 0 and
;; end at `end`, in bytes, a multiple of 16. `npm run generate` assembles this file into scores-wasm.ts.
(module
  (import "host" "memory" (memory 1))

  (func (export "highest") (param $end i32) (result f32)
    (local $at i32) (local $most v128)
    (local.set $most (f32x4.splat (f32.const -inf)))
    (loop $each
      (local.set $most (f32x4.pmax (local.get $most) (v128.load (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $each (i32.lt_u (local.get $at) (local.get $end))))
    (f32.max
      (f32.max (f32x4.extract_lane 0 (local.get $most)) (f32x4.extract_lane 1 (local.get $most)))
      (f32.max (f32x4.extract_lane 2 (local.get $most)) (f32x4.extract_lane 3 (local.get $most)))))

  ;; The sum of 2 ^ (scale * (number - highest)): whole powers of two as exponent bits, the rest by Taylor's series, to ten digits.
  (func (export "sumOfPowers") (param $end i32) (param $highest f64) (param $scale f64) (result f64)
    (local $at i32) (local $numbers v128) (local $peak v128) (local $by v128)
    (local $power v128) (local $whole v128) (local $sum v128)
    (local.set $peak (f64x2.splat (local.get $highest)))
    (local.set $by (f64x2.splat (local.get $scale)))
    (loop $each
      (local.set $numbers (v128.load64_zero (local.get $at)))
      (local.set $power (f64x2.pmax
        (f64x2.splat (f64.const -1000))
        (f64x2.mul (local.get $by) (f64x2.sub (f64x2.promote_low_f32x4 (local.get $numbers)) (local.get $peak)))))
      (local.set $whole (f64x2.nearest (local.get $power)))
      (local.set $power (f64x2.sub (local.get $power) (local.get $whole)))
      (local.set $sum (f64x2.add (local.get $sum) (f64x2.mul
        ;; The low bits of a number near 3 x 2^51 are its whole part; shifted, they are the exponent's.
        (i64x2.shl (f64x2.add (local.get $whole) (f64x2.splat (f64.const 6755399441056767))) (i32.const 52))
        (f64x2.add (f64x2.splat (f64.const 1.0)) (f64x2.mul (local.get $power)
        (f64x2.add (f64x2.splat (f64.const 0.6931471805599453)) (f64x2.mul (local.get $power)
        (f64x2.add (f64x2.splat (f64.const 0.2402265069591007)) (f64x2.mul (local.get $power)
        (f64x2.add (f64x2.splat (f64.const 0.055504108664821576)) (f64x2.mul (local.get $power)
        (f64x2.add (f64x2.splat (f64.const 0.009618129107628477)) (f64x2.mul (local.get $power)
        (f64x2.add (f64x2.splat (f64.const 0.0013333558146428441)) (f64x2.mul (local.get $power)
        (f64x2.add (f64x2.splat (f64.const 0.00015403530393381606)) (f64x2.mul (local.get $power)
        (f64x2.add (f64x2.splat (f64.const 1.5252733804059838e-05)) (f64x2.mul (local.get $power)
        (f64x2.add (f64x2.splat (f64.const 1.3215486790144305e-06)) (f64x2.mul (local.get $power)
        (f64x2.splat (f64.const 1.0178086009239696e-07)))))))))))))))))))))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $each (i32.lt_u (local.get $at) (local.get $end))))
    (f64.add (f64x2.extract_lane 0 (local.get $sum)) (f64x2.extract_lane 1 (local.get $sum))))
)
