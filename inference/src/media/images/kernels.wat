;; The inner loops of resizing, interpolation and conversion to planes, whose vector instructions make them four to ten times as fast as
;; JavaScript.
;; kernels.ts documents the parameters. Sums of resizing have 22 fraction bits (PRECISION_BITS of taps.ts) and begin with a half, 1 << 21, so
;; that truncation rounds them. `npm run generate` assembles this file into kernels-wasm.ts.
(module
  (import "host" "memory" (memory 1))

  ;; Two taps at a time. A weight has 23 bits and a product of two pairs takes 16, so a weight is a low part of 11 bits and the rest.
  (func (export "columns")
    (param $source i32) (param $target i32) (param $pixels i32)
    (param $offsets i32) (param $counts i32) (param $weights i32) (param $stride i32)
    (local $pixel i32) (local $at i32) (local $weight i32) (local $end i32)
    (local $low v128) (local $high v128) (local $two v128) (local $sum v128) (local $zero v128)
    (loop $each_pixel
      (local.set $at (i32.add (local.get $source) (i32.load (local.get $offsets))))
      (local.set $weight (local.get $weights))
      (local.set $end (i32.add (local.get $weights) (i32.load (local.get $counts))))
      (local.set $low (i32x4.splat (i32.const 0x200000)))
      (local.set $high (local.get $zero))
      (loop $each_pair
        (local.set $two
          (i8x16.shuffle 0 16 3 16 1 16 4 16 2 16 5 16 16 16 16 16
            (v128.load64_zero align=1 (local.get $at))
            (local.get $zero)))
        (local.set $low
          (i32x4.add
            (local.get $low)
            (i32x4.dot_i16x8_s (local.get $two) (v128.load32_splat align=1 (local.get $weight)))))
        (local.set $high
          (i32x4.add
            (local.get $high)
            (i32x4.dot_i16x8_s (local.get $two) (v128.load32_splat offset=4 align=1 (local.get $weight)))))
        (local.set $at (i32.add (local.get $at) (i32.const 6)))
        (local.set $weight (i32.add (local.get $weight) (i32.const 8)))
        (br_if $each_pair (i32.lt_s (local.get $weight) (local.get $end))))
      (local.set $sum
        (i32x4.shr_s
          (i32x4.add (local.get $low) (i32x4.shl (local.get $high) (i32.const 11)))
          (i32.const 22)))
      ;; A fourth byte is stored too; the next pixel overwrites it.
      (v128.store32_lane align=1 0
        (local.get $target)
        (i8x16.narrow_i16x8_u (i16x8.narrow_i32x4_s (local.get $sum) (local.get $sum)) (local.get $sum)))
      (local.set $offsets (i32.add (local.get $offsets) (i32.const 4)))
      (local.set $counts (i32.add (local.get $counts) (i32.const 4)))
      (local.set $weights (i32.add (local.get $weights) (local.get $stride)))
      (local.set $target (i32.add (local.get $target) (i32.const 3)))
      (local.set $pixel (i32.add (local.get $pixel) (i32.const 1)))
      (br_if $each_pixel (i32.lt_s (local.get $pixel) (local.get $pixels)))))

  ;; Sixteen bytes of a line at a time, in four sums of four.
  (func (export "rows")
    (param $source i32) (param $target i32) (param $bytes i32) (param $weights i32) (param $count i32)
    (local $done i32) (local $at i32) (local $weight i32) (local $end i32)
    (local $sum0 v128) (local $sum1 v128) (local $sum2 v128) (local $sum3 v128) (local $line v128) (local $factor v128)
    (loop $each_block
      (local.set $at (i32.add (local.get $source) (local.get $done)))
      (local.set $weight (local.get $weights))
      (local.set $end (i32.add (local.get $weights) (local.get $count)))
      (local.set $sum0 (i32x4.splat (i32.const 0x200000)))
      (local.set $sum1 (i32x4.splat (i32.const 0x200000)))
      (local.set $sum2 (i32x4.splat (i32.const 0x200000)))
      (local.set $sum3 (i32x4.splat (i32.const 0x200000)))
      (loop $each_tap
        (local.set $line (v128.load align=1 (local.get $at)))
        (local.set $factor (v128.load32_splat align=1 (local.get $weight)))
        (local.set $sum0
          (i32x4.add
            (local.get $sum0)
            (i32x4.mul
              (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (local.get $line)))
              (local.get $factor))))
        (local.set $sum1
          (i32x4.add
            (local.get $sum1)
            (i32x4.mul
              (i32x4.extend_high_i16x8_u (i16x8.extend_low_i8x16_u (local.get $line)))
              (local.get $factor))))
        (local.set $sum2
          (i32x4.add
            (local.get $sum2)
            (i32x4.mul
              (i32x4.extend_low_i16x8_u (i16x8.extend_high_i8x16_u (local.get $line)))
              (local.get $factor))))
        (local.set $sum3
          (i32x4.add
            (local.get $sum3)
            (i32x4.mul
              (i32x4.extend_high_i16x8_u (i16x8.extend_high_i8x16_u (local.get $line)))
              (local.get $factor))))
        (local.set $at (i32.add (local.get $at) (local.get $bytes)))
        (local.set $weight (i32.add (local.get $weight) (i32.const 4)))
        (br_if $each_tap (i32.lt_s (local.get $weight) (local.get $end))))
      (v128.store align=1
        (i32.add (local.get $target) (local.get $done))
        (i8x16.narrow_i16x8_u
          (i16x8.narrow_i32x4_s
            (i32x4.shr_s (local.get $sum0) (i32.const 22))
            (i32x4.shr_s (local.get $sum1) (i32.const 22)))
          (i16x8.narrow_i32x4_s
            (i32x4.shr_s (local.get $sum2) (i32.const 22))
            (i32x4.shr_s (local.get $sum3) (i32.const 22)))))
      (local.set $done (i32.add (local.get $done) (i32.const 16)))
      (br_if $each_block (i32.lt_s (local.get $done) (local.get $bytes)))))

  ;; A pixel at a time, its channels in three lanes. Weights of two neighbours sum to 2048, as in OpenCV, so a sum without its lowest four
  ;; bits has at most 15.
  (func (export "across")
    (param $source i32) (param $target i32) (param $pixels i32) (param $columns i32)
    (local $end i32) (local $share v128) (local $sum v128)
    (local.set $end (i32.add (local.get $target) (i32.mul (local.get $pixels) (i32.const 6))))
    (loop $each_pixel
      (local.set $share (v128.load32_splat offset=8 (local.get $columns)))
      (local.set $sum
        (i32x4.shr_s
          (i32x4.add
            (i32x4.mul
              (i32x4.extend_low_i16x8_u
                (i16x8.extend_low_i8x16_u
                  (v128.load32_zero align=1 (i32.add (local.get $source) (i32.load (local.get $columns))))))
              (i32x4.sub (i32x4.splat (i32.const 2048)) (local.get $share)))
            (i32x4.mul
              (i32x4.extend_low_i16x8_u
                (i16x8.extend_low_i8x16_u
                  (v128.load32_zero align=1 (i32.add (local.get $source) (i32.load offset=4 (local.get $columns))))))
              (local.get $share)))
          (i32.const 4)))
      ;; A fourth number is stored too; the next pixel overwrites it.
      (v128.store64_lane align=1 0 (local.get $target) (i16x8.narrow_i32x4_s (local.get $sum) (local.get $sum)))
      (local.set $columns (i32.add (local.get $columns) (i32.const 12)))
      (local.set $target (i32.add (local.get $target) (i32.const 6)))
      (br_if $each_pixel (i32.lt_s (local.get $target) (local.get $end)))))

  ;; Eight numbers of two lines at a time.
  (func (export "between")
    (param $above i32) (param $below i32) (param $target i32) (param $bytes i32) (param $lower i32)
    (local $end i32) (local $top v128) (local $bottom v128) (local $upper_weight v128) (local $lower_weight v128)
    (local.set $lower_weight (i16x8.splat (local.get $lower)))
    (local.set $upper_weight (i16x8.splat (i32.sub (i32.const 2048) (local.get $lower))))
    (local.set $end (i32.add (local.get $target) (local.get $bytes)))
    (loop $each_block
      (local.set $top (v128.load align=1 (local.get $above)))
      (local.set $bottom (v128.load align=1 (local.get $below)))
      (v128.store64_lane align=1 0
        (local.get $target)
        (i8x16.narrow_i16x8_u
          (i16x8.narrow_i32x4_s
            (i32x4.shr_s
              (i32x4.add
                (i32x4.add
                  (i32x4.shr_s (i32x4.extmul_low_i16x8_s (local.get $upper_weight) (local.get $top)) (i32.const 16))
                  (i32x4.shr_s (i32x4.extmul_low_i16x8_s (local.get $lower_weight) (local.get $bottom)) (i32.const 16)))
                (i32x4.splat (i32.const 2)))
              (i32.const 2))
            (i32x4.shr_s
              (i32x4.add
                (i32x4.add
                  (i32x4.shr_s (i32x4.extmul_high_i16x8_s (local.get $upper_weight) (local.get $top)) (i32.const 16))
                  (i32x4.shr_s (i32x4.extmul_high_i16x8_s (local.get $lower_weight) (local.get $bottom)) (i32.const 16)))
                (i32x4.splat (i32.const 2)))
              (i32.const 2)))
          (local.get $top)))
      (local.set $above (i32.add (local.get $above) (i32.const 16)))
      (local.set $below (i32.add (local.get $below) (i32.const 16)))
      (local.set $target (i32.add (local.get $target) (i32.const 8)))
      (br_if $each_block (i32.lt_s (local.get $target) (local.get $end)))))

  ;; Four pixels at a time: a shuffle with zeros widens a channel of theirs to 32 bits. A mask clears what lies behind the line.
  (func (export "planes")
    (param $source i32) (param $pixels i32) (param $width i32) (param $first i32) (param $second i32) (param $third i32)
    (local $pixel i32) (local $four v128) (local $zero v128) (local $mask v128) (local $at i32)
    (loop $each_block
      (local.set $at (i32.shl (local.get $pixel) (i32.const 2)))
      (if (i32.lt_s (local.get $pixel) (local.get $pixels))
        (then
          (local.set $mask
            (i32x4.lt_s
              (i32x4.add (i32x4.splat (local.get $pixel)) (v128.const i32x4 0 1 2 3))
              (i32x4.splat (local.get $pixels))))
          (local.set $four
            (v128.load align=1 (i32.add (local.get $source) (i32.mul (local.get $pixel) (i32.const 3))))))
        (else
          (local.set $mask (local.get $zero))))
      (v128.store align=4
        (i32.add (local.get $first) (local.get $at))
        (f32x4.convert_i32x4_s
          (v128.and
            (local.get $mask)
            (i8x16.shuffle 0 16 16 16 3 16 16 16 6 16 16 16 9 16 16 16 (local.get $four) (local.get $zero)))))
      (v128.store align=4
        (i32.add (local.get $second) (local.get $at))
        (f32x4.convert_i32x4_s
          (v128.and
            (local.get $mask)
            (i8x16.shuffle 1 16 16 16 4 16 16 16 7 16 16 16 10 16 16 16 (local.get $four) (local.get $zero)))))
      (v128.store align=4
        (i32.add (local.get $third) (local.get $at))
        (f32x4.convert_i32x4_s
          (v128.and
            (local.get $mask)
            (i8x16.shuffle 2 16 16 16 5 16 16 16 8 16 16 16 11 16 16 16 (local.get $four) (local.get $zero)))))
      (local.set $pixel (i32.add (local.get $pixel) (i32.const 4)))
      (br_if $each_block (i32.lt_s (local.get $pixel) (local.get $width))))))
