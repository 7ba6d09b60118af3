package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// childName is the first argument of a process that is to become a program.
const childName = "lor2c-sandbox-child"

// Child must be called first in main. It returns unless this process was started by Run; then it restricts itself,
// executes Python and does not return.
func Child() {
	if len(os.Args) < 4 || os.Args[1] != childName {
		return
	}
	runtime.LockOSThread() // the executed program inherits the restrictions of this thread
	report := os.NewFile(3, "report")
	err := become(report, os.Args[2], os.Args[3], os.Args[4:])
	fmt.Fprintln(report, err)
	os.Exit(1)
}

// become restricts this process and executes Python.
func become(report *os.File, python, dir string, libraries []string) error {
	for _, limit := range []struct {
		what  int
		value uint64
	}{
		{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_CPU, cpu}, {unix.RLIMIT_FSIZE, file}, {unix.RLIMIT_NOFILE, opened},
	} {
		if err := unix.Setrlimit(limit.what, &unix.Rlimit{Cur: limit.value, Max: limit.value}); err != nil {
			return fmt.Errorf("limits: %w", err)
		}
	}
	if err := confine(dir, libraries); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	if err := filter(); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	env := []string{
		"PATH=/usr/bin:/bin", "HOME=" + dir, "TMPDIR=" + dir, "PYTHONHASHSEED=0", "OMP_NUM_THREADS=1", "LC_ALL=C.UTF-8",
	}
	// Go's runtime needs more address space than a program may have, so this limit is set last.
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: memory, Max: memory}); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	if _, err := unix.Write(3, []byte(ready)); err != nil {
		return err
	}
	return unix.Exec(python, []string{python, "-I", "-S", "-B", "-c", runner}, env)
}

// confine lets this process read the system's folders and Python's, and write the temporary folder, and nothing else.
// From the fourth version of landlock on it cannot use TCP either, which the filter forbids too.
func confine(dir string, libraries []string) error {
	rules := []landlock.Rule{
		landlock.RODirs("/usr", "/lib", "/lib64", "/bin").IgnoreIfMissing(),
		landlock.RODirs(libraries...),
		landlock.RWDirs(dir),
		landlock.RWFiles("/dev/null", "/dev/urandom").IgnoreIfMissing(),
	}
	if landlock.V4.Restrict(rules...) == nil {
		return nil
	}
	return landlock.V1.RestrictPaths(rules...)
}

// forbidden are the system calls that a program has no use for.
var forbidden = []string{
	"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg", "ptrace",
	"mount", "umount2", "pivot_root", "unshare", "setns", "bpf", "perf_event_open", "keyctl", "add_key", "request_key",
	"kexec_load", "init_module", "finit_module", "userfaultfd", "process_vm_readv", "process_vm_writev", "io_uring_setup",
	"kill", "tkill", "tgkill", "pidfd_open", "pidfd_send_signal", "open_by_handle_at", "execveat", "personality",
}

// filter forbids system calls. New threads are allowed and new processes are not: clone needs the flag of a thread, and
// clone3, whose flags a filter cannot see, does not exist, so that the C library uses clone. Calls of another
// architecture, such as those of 32 bits, end the process.
func filter() error {
	info, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	names := forbidden
	for _, name := range []string{"fork", "vfork"} { // which arm64 does not have
		if _, has := info.SyscallNames[name]; has {
			names = append(names, name)
		}
	}
	process := seccomp.NameWithConditions{Name: "clone", Conditions: seccomp.ArgumentConditions{
		{Argument: 0, Operation: seccomp.BitsNotSet, Value: unix.CLONE_THREAD},
	}}
	if err := foreign(uint32(info.ID)); err != nil {
		return err
	}
	return seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true, Flag: seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionErrno, Names: names, NamesWithCondtions: []seccomp.NameWithConditions{process}},
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: []string{"clone3"}},
		}},
	})
}

// foreign ends this process when it makes a system call of another architecture, which the other filter would let pass.
func foreign(native uint32) error {
	const architecture, word = 4, 4 // offset and size of the field of struct seccomp_data
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: architecture, Size: word},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: native, SkipTrue: 1},
		bpf.RetConstant{Val: uint32(seccomp.ActionKillProcess)},
		bpf.RetConstant{Val: uint32(seccomp.ActionAllow)},
	})
	if err != nil {
		return err
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	if err := seccomp.SetNoNewPrivs(); err != nil {
		return err
	}
	p := &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER,
		uintptr(unsafe.Pointer(p)))
	runtime.KeepAlive(p)
	if errno != 0 {
		return errno
	}
	return nil
}
