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

// ReadMemory asks the system what memory is free: the kernel's estimate within
// the limits of the control groups, which containers have, and of ulimit -v. ok
// is false where the system does not say.
func ReadMemory() (m MainMemory, ok bool) {
	space := unix.Rlimit{Cur: unix.RLIM_INFINITY}
	_ = unix.Getrlimit(unix.RLIMIT_AS, &space)
	return memoryOf(os.DirFS("/"), space.Cur, int64(os.Getpagesize()))
}

// memoryOf is ReadMemory, from the files below root, with a limit on the address
// space and the size of a page.
func memoryOf(root fs.FS, space uint64, page int64) (m MainMemory, ok bool) {
	table := numbers(root, "proc/meminfo", ":")
	m = MainMemory{Total: table["MemTotal"] << 10, Free: table["MemAvailable"] << 10, Swap: table["SwapFree"] << 10}
	if m.Total == 0 {
		return m, false
	}
	for line := range strings.Lines(text(root, "proc/self/cgroup")) {
		// "0::/a/b" in version 2, "4:memory:/a/b" in version 1.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) < 3:
		case parts[0] == "0":
			m.groups(root, "sys/fs/cgroup", parts[2], "memory.max", "memory.current", "inactive_file")
		case parts[1] == "memory":
			m.groups(root, "sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
		}
	}
	if space < math.MaxInt64 {
		pages, _, _ := strings.Cut(text(root, "proc/self/statm"), " ")
		used, _ := strconv.ParseInt(pages, 10, 64)
		m.bound(int64(space), int64(space)-used*page)
	}
	return m, true
}

// groups applies the limits of a control group and those above it. The three
// names are of the files with the limit and the use, and of a line of
// memory.stat: cached files, which count as used and can be dropped.
func (m *MainMemory) groups(root fs.FS, mount, group, limit, use, cached string) {
	// In a container the group's path may be that of the host, which is not
	// mounted; the container's own group is then the mount itself.
	for dir := path.Join(mount, group); ; dir = path.Dir(dir) {
		// Without a limit the file says "max" or a number larger than any memory.
		if most, err := strconv.ParseInt(text(root, path.Join(dir, limit)), 10, 64); err == nil && most < m.Total {
			used, _ := strconv.ParseInt(text(root, path.Join(dir, use)), 10, 64)
			m.bound(most, most-max(used-numbers(root, path.Join(dir, "memory.stat"), " ")[cached], 0))
		}
		if len(dir) <= len(mount) {
			return
		}
	}
}

// text returns a small file without the white space around it, "" where there is none.
func text(root fs.FS, name string) string {
	raw, _ := fs.ReadFile(root, name)
	return strings.TrimSpace(string(raw))
}

// numbers reads lines of a name, a separator and a number.
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
