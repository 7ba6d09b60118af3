package cpu

import (
	"math"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestMemoryOf reads files as Linux writes them, with and without limits.
func TestMemoryOf(t *testing.T) {
	const table = "MemTotal:       16000 kB\nMemFree:         1000 kB\nMemAvailable:    9000 kB\nSwapFree:        " +
		"3000 kB\nHugePages_Total:       0\n"
	const v2, v1 = "sys/fs/cgroup/", "sys/fs/cgroup/memory/"
	for _, tt := range []struct {
		name              string
		files             map[string]string
		space             uint64
		total, free, swap int64 // KiB
	}{
		{"none", nil, math.MaxUint64, 16000, 9000, 3000},
		{"unlimited",
			map[string]string{"proc/self/cgroup": "0::/\n", v2 + "memory.max": "max\n", v2 + "memory.current": "5000000\n"},
			math.MaxUint64, 16000, 9000, 3000},
		{"v2", map[string]string{"proc/self/cgroup": "0::/\n", v2 + "memory.max": "8192000\n",
			v2 + "memory.current": "1024000\n"},
			math.MaxUint64, 8000, 7000, 0},
		{"cached", map[string]string{"proc/self/cgroup": "0::/\n", v2 + "memory.max": "8192000\n",
			v2 + "memory.current": "8192000\n",
			v2 + "memory.stat":    "anon 1024\ninactive_file 4096000\n"}, math.MaxUint64, 8000, 4000, 0},
		{"exceeded",
			map[string]string{"proc/self/cgroup": "0::/\n", v2 + "memory.max": "8192000\n", v2 + "memory.current": "9000000\n"},
			math.MaxUint64, 8000, 0, 0},
		{"more than there is",
			map[string]string{"proc/self/cgroup": "0::/\n", v2 + "memory.max": "16384000000\n", v2 + "memory.current": "1024\n"},
			math.MaxUint64, 16000, 9000, 3000},
		{"above", map[string]string{"proc/self/cgroup": "0::/user/session\n", v2 + "user/session/memory.max": "max\n",
			v2 + "user/memory.max": "4096000\n", v2 + "user/memory.current": "1024000\n"}, math.MaxUint64, 4000, 3000, 0},
		{"v1", map[string]string{"proc/self/cgroup": "5:cpu:/x\n4:memory:/job\n0::/\n",
			v1 + "memory.limit_in_bytes":     "9223372036854771712\n",
			v1 + "job/memory.limit_in_bytes": "8192000\n", v1 + "job/memory.usage_in_bytes": "2048000\n",
			v1 + "job/memory.stat": "inactive_file 1\ntotal_inactive_file 1024000\n"}, math.MaxUint64, 8000, 7000, 0},
		{"v1 of a host",
			map[string]string{"proc/self/cgroup": "4:memory:/docker/0123\n", v1 + "memory.limit_in_bytes": "8192000\n",
				v1 + "memory.usage_in_bytes": "1024000\n"}, math.MaxUint64, 8000, 7000, 0},
		{"address space", map[string]string{"proc/self/statm": "500 100 50 1 0 90 0\n"}, 10240 << 10, 10240, 8240, 0},
		{"large address space", map[string]string{"proc/self/statm": "500 100 50 1 0 90 0\n"}, 12000 << 10, 12000, 9000,
			1000},
	} {
		t.Run("limit="+tt.name, func(t *testing.T) {
			root := fstest.MapFS{"proc/meminfo": {Data: []byte(table)}}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			want := MainMemory{tt.total << 10, tt.free << 10, tt.swap << 10}
			if got, ok := memoryOf(root, tt.space, 4096); got != want || !ok {
				t.Errorf("got %+v, %t; want %+v", got, ok, want)
			}
		})
	}
	if _, ok := memoryOf(fstest.MapFS{}, math.MaxUint64, 4096); ok {
		t.Error("a system without the table has memory")
	}
}

// TestFree compares the device's report with the kernel's own estimate.
func TestFree(t *testing.T) {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil || !strings.Contains(string(raw), "MemAvailable:") {
		t.Skip("the kernel does not report the available memory")
	}
	d := Open[float32](1)
	defer d.Close()
	m, ok := ReadMemory()
	if s := d.Stats(); !ok || !s.Host || s.Free <= 1 || m.Free > m.Total {
		t.Errorf("%+v, %+v, %t", s, m, ok)
	}
}
