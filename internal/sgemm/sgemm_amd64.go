package sgemm

import (
	"golang.org/x/sys/cpu"

	"github.com/lor2c/lor2c/internal/processor"
)

var avx512 = &Kernels{name: "AVX-512", lanes: 16, tiles: [2][]kernel{
	{
		avx512_1x16, avx512_2x16, avx512_3x16, avx512_4x16, avx512_5x16, avx512_6x16, avx512_7x16,
		avx512_8x16, avx512_9x16, avx512_10x16, avx512_11x16, avx512_12x16, avx512_13x16, avx512_14x16,
	},
	{
		avx512_1x32, avx512_2x32, avx512_3x32, avx512_4x32, avx512_5x32, avx512_6x32, avx512_7x32,
		avx512_8x32, avx512_9x32, avx512_10x32, avx512_11x32, avx512_12x32, avx512_13x32, avx512_14x32,
	},
}, halves: [FourBit + 1][]halfKernel{
	BFloat16: {
		avx512_1x32_bfloat16, avx512_2x32_bfloat16, avx512_3x32_bfloat16, avx512_4x32_bfloat16,
		avx512_5x32_bfloat16, avx512_6x32_bfloat16, avx512_7x32_bfloat16, avx512_8x32_bfloat16,
		avx512_9x32_bfloat16, avx512_10x32_bfloat16, avx512_11x32_bfloat16, avx512_12x32_bfloat16,
		avx512_13x32_bfloat16, avx512_14x32_bfloat16,
	},
	Float16: {
		avx512_1x32_float16, avx512_2x32_float16, avx512_3x32_float16, avx512_4x32_float16,
		avx512_5x32_float16, avx512_6x32_float16, avx512_7x32_float16, avx512_8x32_float16,
		avx512_9x32_float16, avx512_10x32_float16, avx512_11x32_float16, avx512_12x32_float16,
		avx512_13x32_float16, avx512_14x32_float16,
	},
}, panels: avx512Panels, dequantize: avx512_dequantize}

var avx2 = &Kernels{name: "AVX2", lanes: 8, tiles: [2][]kernel{
	{avx2_1x8, avx2_2x8, avx2_3x8, avx2_4x8, avx2_5x8, avx2_6x8},
	{avx2_1x16, avx2_2x16, avx2_3x16, avx2_4x16, avx2_5x16, avx2_6x16},
}, halves: [FourBit + 1][]halfKernel{
	BFloat16: {
		avx2_1x16_bfloat16, avx2_2x16_bfloat16, avx2_3x16_bfloat16,
		avx2_4x16_bfloat16, avx2_5x16_bfloat16, avx2_6x16_bfloat16,
	},
	Float16: {
		avx2_1x16_float16, avx2_2x16_float16, avx2_3x16_float16,
		avx2_4x16_float16, avx2_5x16_float16, avx2_6x16_float16,
	},
}, panels: avx2Panels, dequantize: avx2_dequantize}

// all returns the kernels that this processor can run, the fastest first.
func all() (found []*Kernels) {
	// Every processor with AVX2 converts float16.
	fma := cpu.X86.HasAVX2 && cpu.X86.HasFMA
	if fma && cpu.X86.HasAVX512F {
		found = append(found, avx512)
	}
	if fma {
		found = append(found, avx2)
	}
	return found
}

// Best returns the fastest kernels that this processor can run and package processor allows, or nil if it can run none.
func Best() *Kernels {
	for _, s := range all() {
		if s != avx512 || processor.Allows(processor.AVX512) {
			return s
		}
	}
	return nil
}

// The kernels for few rows and several panels, by rows and by numbers of panels from 2 on.
var (
	avx512Panels = [FourBit + 1][][]panelsKernel{
		Float32: {
			{avx512_1x2x32, avx512_1x3x32, avx512_1x4x32},
			{avx512_2x2x32, avx512_2x3x32, avx512_2x4x32},
			{avx512_3x2x32, avx512_3x3x32, avx512_3x4x32},
			{avx512_4x2x32, avx512_4x3x32},
			{avx512_5x2x32},
			{avx512_6x2x32},
		},
		BFloat16: {
			{avx512_1x2x32_bfloat16, avx512_1x3x32_bfloat16, avx512_1x4x32_bfloat16},
			{avx512_2x2x32_bfloat16, avx512_2x3x32_bfloat16, avx512_2x4x32_bfloat16},
			{avx512_3x2x32_bfloat16, avx512_3x3x32_bfloat16, avx512_3x4x32_bfloat16},
			{avx512_4x2x32_bfloat16, avx512_4x3x32_bfloat16},
			{avx512_5x2x32_bfloat16},
			{avx512_6x2x32_bfloat16},
		},
		Float16: {
			{avx512_1x2x32_float16, avx512_1x3x32_float16, avx512_1x4x32_float16},
			{avx512_2x2x32_float16, avx512_2x3x32_float16, avx512_2x4x32_float16},
			{avx512_3x2x32_float16, avx512_3x3x32_float16, avx512_3x4x32_float16},
			{avx512_4x2x32_float16, avx512_4x3x32_float16},
			{avx512_5x2x32_float16},
			{avx512_6x2x32_float16},
		},
	}
	avx2Panels = [FourBit + 1][][]panelsKernel{
		Float32: {
			{avx2_1x2x16, avx2_1x3x16, avx2_1x4x16},
			{avx2_2x2x16, avx2_2x3x16},
			{avx2_3x2x16},
		},
		BFloat16: {
			{avx2_1x2x16_bfloat16, avx2_1x3x16_bfloat16, avx2_1x4x16_bfloat16},
			{avx2_2x2x16_bfloat16, avx2_2x3x16_bfloat16},
			{avx2_3x2x16_bfloat16},
		},
		Float16: {
			{avx2_1x2x16_float16, avx2_1x3x16_float16, avx2_1x4x16_float16},
			{avx2_2x2x16_float16, avx2_2x3x16_float16},
			{avx2_3x2x16_float16},
		},
	}
)
