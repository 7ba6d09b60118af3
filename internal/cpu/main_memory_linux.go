package cpu

import (
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadMemory returns the free memory: the kernel's estimate within the limits
// of control groups, which containers have, and of ulimit -v. ok is false if
// the system does not report it.
func ReadMemory() (m MainMemory, ok bool) {
	space := unix.Rlimit{Cur: unix.RLIM_INFINITY}
	_ = unix.Getrlimit(unix.RLIMIT_AS, &space)
	return memoryOf(os.DirFS("/"), space.Cur, int64(os.Getpagesize()))
}

// memoryOf computes the result of ReadMemory from the files below root, a limit
// of the address space and the size of a page.
func memoryOf(root fs.FS, space uint64, page int64) (m MainMemory, ok bool) {
	table := numbers(root, "proc/meminfo", ":")
	m = MainMemory{Total: table["MemTotal"] << 10, Free: table["MemAvailable"] << 10, Swap: table["SwapFree"] << 10}
	if m.Total == 0 {
		return m, false
	}
	for line := range strings.Lines(text(root, "proc/self/cgroup")) {
		// The line is "0::/a/b" in version 2 and "4:memory:/a/b" in version 1.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) < 3:
		case parts[0] == "0":
			m.groups(root, "sys/fs/cgroup", parts[2], "memory.max", "memory.current", "inactive_file")
		case parts[1] == "memory":
			m.groups(root, "sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes", "memory.usage_in_bytes",
				"total_inactive_file")
		}
	}
	if space < math.MaxInt64 {
		pages, _, _ := strings.Cut(text(root, "proc/self/statm"), " ")
		used, _ := strconv.ParseInt(pages, 10, 64)
		m.bound(int64(space), int64(space)-used*page)
	}
	return m, true
}

// groups applies the limits of a control group and of the groups above it.
// limit and use are the names of files, and cached is the name of a line of
// memory.stat: cached files count as used but can be dropped.
func (m *MainMemory) groups(root fs.FS, mount, group, limit, use, cached string) {
	// In a container the path of the group may be that of the host, which is not
	// mounted. The container's own group is then the mount itself.
	for dir := path.Join(mount, group); ; dir = path.Dir(dir) {
		// Without a limit the file contains "max" or a number larger than any memory.
		if most, err := strconv.ParseInt(text(root, path.Join(dir, limit)), 10, 64); err == nil && most < m.Total {
			used, _ := strconv.ParseInt(text(root, path.Join(dir, use)), 10, 64)
			m.bound(most, most-max(used-numbers(root, path.Join(dir, "memory.stat"), " ")[cached], 0))
		}
		if len(dir) <= len(mount) {
			return
		}
	}
}

// text returns the content of a small file without surrounding white space, or
// "" if the file does not exist.
func text(root fs.FS, name string) string {
	raw, _ := fs.ReadFile(root, name)
	return strings.TrimSpace(string(raw))
}

// numbers returns the numbers in lines of a name, a separator and a number, by
// name.
func numbers(root fs.FS, name, separator string) map[string]int64 {
	table := map[string]int64{}
	for line := range strings.Lines(text(root, name)) {
		key, value, _ := strings.Cut(line, separator)
		if n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64); err == nil {
			table[key] = n
		}
	}
	return table
}
