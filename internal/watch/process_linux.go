package watch

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/lor2c/lor2c/internal/train"
)

// trainer returns the process that trains in a run directory, 0 if none is found or unknown, and the bytes of main
// memory that it uses. It reads the list of locks of the system and takes no lock itself, because a run that begins at
// that moment would be refused. A process in another container or on another machine is not found.
func trainer(dir string) (pid int, bytes int64) {
	info, err := os.Stat(train.LockPath(dir))
	if err != nil {
		return 0, 0
	}
	inode := fmt.Sprintf(":%d", info.Sys().(*syscall.Stat_t).Ino)
	f, err := os.Open("/proc/locks")
	if err != nil {
		return unknown, 0
	}
	defer f.Close()
	// A line is "1: FLOCK  ADVISORY  WRITE 1234 08:02:567890 0 EOF". Layered file systems have another device number
	// there than in the status of the file, so the device is not compared.
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) > 5 && words[1] == "FLOCK" && words[3] == "WRITE" && strings.HasSuffix(words[5], inode) {
			if n, _ := fmt.Sscan(words[4], &pid); n == 1 && pid > 0 {
				return pid, resident(pid)
			}
		}
	}
	return 0, 0
}

// resident returns the bytes of a process that are in main memory.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, pages int64
	if n, _ := fmt.Sscan(string(text), &size, &pages); n < 2 {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
