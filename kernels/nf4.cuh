// The 16 levels of the NF4 type. See package nf4.
#pragma once
#include "common.cuh"

// nf4_level returns the value of a code. Its bits are those of bitsandbytes.
DEVICE float nf4_level(uint32_t code) {
    switch (code) {
    case 0: return __uint_as_float(0xbf800000u);
    case 1: return __uint_as_float(0xbf3239b1u);
    case 2: return __uint_as_float(0xbf066b30u);
    case 3: return __uint_as_float(0xbeca32a0u);
    case 4: return __uint_as_float(0xbe91a24du);
    case 5: return __uint_as_float(0xbe3d353fu);
    case 6: return __uint_as_float(0xbdba7871u);
    case 7: return __uint_as_float(0x00000000u);
    case 8: return __uint_as_float(0x3da2faffu);
    case 9: return __uint_as_float(0x3e24cae3u);
    case 10: return __uint_as_float(0x3e7c04ddu);
    case 11: return __uint_as_float(0x3ead033au);
    case 12: return __uint_as_float(0x3ee1a4b8u);
    case 13: return __uint_as_float(0x3f1007abu);
    case 14: return __uint_as_float(0x3f3913b3u);
    default: return 1.0f;
    }
}
