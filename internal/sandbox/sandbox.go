// Package sandbox runs Python programs that a language model wrote. They can contain anything, and the sandbox keeps
// them from doing harm.
//
// Each program runs in a process of its own, which gives up what it does not need and then executes Python. It cannot
// reach the network, start a process or signal one. It can read the system's folders and Python's, and read and write
// one temporary folder, and it cannot change the mode, the owner, the times or the extended attributes of any file.
// Memory, processor time, the size of each file and the space of all files are bounded. If a restriction cannot be set
// up, nothing is executed.
//
// A program passes if it runs to its end. The process reports that by a random word that the program is not given, so a
// program that leaves early does not pass. A program can find the word if it searches the interpreter for it: the
// sandbox bounds the harm of a program, but a program that was written to deceive can pass.
package sandbox

import "time"

// Mode says what holds programs.
type Mode string

// The modes.
const (
	Kernel    Mode = "kernel"    // seccomp, landlock and limits
	Container Mode = "container" // limits, and what is around lor2c
)

// These are the outcomes of a program.
const (
	Passed   = "passed"    // it ran to its end
	Failed   = "failed"    // it raised an exception, left early or was ended by a limit
	TimedOut = "timed out" // it ran longer than Wall
)

// These bound a program.
const (
	Wall   = 3 * time.Second  // time until it is interrupted; it is killed a second later
	start  = 20 * time.Second // time until Python must be ready for it; more is an error of the machine
	cpu    = 5                // seconds of processor time, more than the time until it is killed
	memory = 1 << 30          // bytes of addresses
	file   = 1 << 20          // bytes of a file that it writes
	disk   = 16 << 20         // bytes of all its files, and a little more until it is noticed
	files  = 1000             // files and folders, likewise
	opened = 64               // files at a time
	report = 64 << 10         // bytes that are read of what the process reports
)
