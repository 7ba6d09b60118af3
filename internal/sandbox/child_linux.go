package sandbox

import (
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	abi "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// childName is the first argument of a process that is to become a program.
const childName = "lor2c-sandbox-child"

// Child must be called first in main. It returns unless this process was started by Run; then it restricts itself,
// executes Python and does not return.
func Child() {
	if len(os.Args) < 5 || os.Args[1] != childName {
		return
	}
	runtime.LockOSThread() // the executed program inherits the restrictions of this thread
	report := os.NewFile(3, "report")
	err := become(Mode(os.Args[2]), os.Args[3], os.Args[4], os.Args[5:])
	fmt.Fprintln(report, err)
	os.Exit(1)
}

// become restricts this process and executes Python.
func become(mode Mode, python, dir string, libraries []string) error {
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
	if mode != Container {
		if err := confine(dir, libraries); err != nil {
			return fmt.Errorf("landlock: %w", err)
		}
		if err := filter(); err != nil {
			return fmt.Errorf("seccomp: %w", err)
		}
	}
	// Without namespaces a superuser's program could raise its limits. A process that cannot gain privileges does not get
	// its capabilities back when it executes.
	if err := seccomp.SetNoNewPrivs(); err != nil {
		return fmt.Errorf("privileges: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &make([]unix.CapUserData, 2)[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	env := []string{
		"PATH=/usr/bin:/bin", "HOME=" + dir, "TMPDIR=" + dir, "PYTHONHASHSEED=0", "OMP_NUM_THREADS=1", "LC_ALL=C.UTF-8",
	}
	if _, err := unix.Write(3, []byte(ready)); err != nil {
		return err
	}
	return unix.Exec(python, []string{python, "-I", "-S", "-B", "-c", runner, strconv.Itoa(memory)}, env)
}

// confine lets this process read the system's folders and Python's, and write the temporary folder, and nothing else.
// From the fourth version of landlock on it cannot use TCP either, which the filter forbids too. Before the third a
// process can empty a file that it may not write, by opening it, so those versions are refused.
func confine(dir string, libraries []string) error {
	const truncates, network = 3, 4
	version, err := abi.LandlockGetABIVersion()
	if err != nil {
		return fmt.Errorf("this kernel does not have it: %w; want Linux 6.2 or later with landlock enabled", err)
	}
	if version < truncates {
		return fmt.Errorf("this kernel has version %d, which does not keep a program from emptying files; "+
			"want version %d or later, which Linux has from 6.2 on", version, truncates)
	}
	rules := []landlock.Rule{
		landlock.RODirs("/usr", "/lib", "/lib64", "/bin").IgnoreIfMissing(),
		landlock.RODirs(libraries...),
		landlock.RWDirs(dir),
		landlock.RWFiles("/dev/null", "/dev/urandom").IgnoreIfMissing(),
	}
	config := landlock.V4
	if version < network {
		config = landlock.V3
	}
	// Only this thread is restricted, which is the one that executes Python. The library would signal the others, whose
	// numbers in a namespace of their own are not those of /proc.
	set, flags, err := config.NewRulesetFD(rules...)
	if err != nil {
		return err
	}
	defer unix.Close(set)
	if err := seccomp.SetNoNewPrivs(); err != nil {
		return err
	}
	return abi.LandlockRestrictSelf(set, flags)
}

// forbidden are the system calls that a program has no use for. An architecture has those that it has: arm64, for
// example, has neither fork nor chmod.
var forbidden = []string{
	// the network
	"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg",
	// other processes
	"fork", "vfork", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease",
	"kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
	"setpriority", "ioprio_set", "sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity",
	"migrate_pages", "move_pages", "setpgid", "setsid",
	// memory, semaphores and queues that processes share
	"shmget", "shmat", "shmctl", "semget", "semop", "semtimedop", "semctl", "msgget", "msgsnd", "msgrcv", "msgctl",
	"mq_open", "mq_unlink",
	// properties of files, which landlock does not guard
	"chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat", "utime", "utimes", "futimesat",
	"utimensat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr",
	"removexattrat", "truncate", "mknod", "mknodat", "open_by_handle_at",
	// the system
	"mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "bpf", "perf_event_open", "keyctl", "add_key",
	"request_key", "kexec_load", "init_module", "finit_module", "reboot", "userfaultfd", "io_uring_setup", "personality",
}

// conditional are the system calls that are forbidden with some of their arguments.
func conditional() []seccomp.NameWithConditions {
	calls := []seccomp.NameWithConditions{
		{Name: "clone", Conditions: seccomp.ArgumentConditions{ // a process instead of a thread
			{Argument: 0, Operation: seccomp.BitsNotSet, Value: unix.CLONE_THREAD},
		}},
		{Name: "prlimit64", Conditions: seccomp.ArgumentConditions{ // the limits of another process
			{Argument: 0, Operation: seccomp.NotEqual, Value: 0},
		}},
		// The kernel reads 32 bits of a command and the filter compares 64, so larger numbers are forbidden.
		{Name: "fcntl", Conditions: seccomp.ArgumentConditions{
			{Argument: 1, Operation: seccomp.GreaterThan, Value: math.MaxUint32},
		}},
	}
	// By these a file sends a signal to its owner.
	const setOwner, setSignal, setOwnerEx = unix.F_SETOWN, 10, unix.F_SETOWN_EX
	for _, command := range []uint64{setOwner, setSignal, setOwnerEx} {
		calls = append(calls, seccomp.NameWithConditions{Name: "fcntl", Conditions: seccomp.ArgumentConditions{
			{Argument: 1, Operation: seccomp.Equal, Value: command},
		}})
	}
	return calls
}

// filter forbids system calls. New threads are allowed and new processes are not: clone needs the flag of a thread, and
// clone3, whose flags a filter cannot see, does not exist, so that the C library uses clone. Calls of another
// architecture, such as those of 32 bits, end the process.
func filter() error {
	info, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	names := slices.DeleteFunc(slices.Clone(forbidden), func(name string) bool {
		_, has := info.SyscallNames[name]
		return !has
	})
	if err := unknown(info); err != nil {
		return err
	}
	return seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true, Flag: seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionErrno, Names: names, NamesWithCondtions: conditional()},
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: []string{"clone3"}},
		}},
	})
}

// unknown ends this process when it makes a system call of another architecture, which the other filter would let pass.
// Calls that are newer than the table of names, and that filter therefore cannot forbid, do not exist.
func unknown(info *arch.Info) error {
	const number, architecture, word = 0, 4, 4 // offsets and size of the fields of struct seccomp_data
	newest := slices.Max(slices.Collect(maps.Values(info.SyscallNames)))
	missing := seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: architecture, Size: word},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(info.ID), SkipTrue: 1},
		bpf.RetConstant{Val: uint32(seccomp.ActionKillProcess)},
		bpf.LoadAbsolute{Off: number, Size: word},
		bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: uint32(newest), SkipTrue: 1},
		bpf.RetConstant{Val: uint32(missing)},
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
