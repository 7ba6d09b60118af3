package runlog

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
)

// Env is the content of env.json: everything besides the configuration that may
// influence the numbers of a run. The caller sets the first five fields, and
// WriteEnv the others.
type Env struct {
	Device     string            `json:"device"`
	BLAS       string            `json:"blas"`
	DataSHA256 map[string]string `json:"data_sha256"` // file -> hex digest
	// Driver is the version of the card's driver, and Refused names the kernels that are not used because they failed
	// the self-check. Both are empty on the CPU.
	Driver  string   `json:"driver,omitempty"`
	Refused []string `json:"refused_kernels,omitempty"`

	Args       []string `json:"args"`
	Start      string   `json:"start"` // UTC
	GoVersion  string   `json:"go_version"`
	Module     string   `json:"module"`
	Version    string   `json:"version"`
	Revision   string   `json:"revision"` // of the source; "" if built outside version control
	Modified   bool     `json:"modified"` // the source had uncommitted changes
	OS         string   `json:"os"`
	Arch       string   `json:"arch"`
	CPU        string   `json:"cpu"` // model; "" if there is no /proc/cpuinfo
	Cores      int      `json:"cores"`
	GOMAXPROCS int      `json:"gomaxprocs"`
}

// WriteEnv writes env.json. A resumed run keeps the file of the process that began it,
// and writes env-<step>.json with the step from which it continued.
func (r *Run) WriteEnv(e Env) error {
	e = e.Here()
	e.Args = os.Args
	e.Start = stamp(r.clock.start)
	name := "env.json"
	if r.o.Resume && r.o.Step >= 0 {
		name = fmt.Sprintf("env-%d.json", r.o.Step)
	}
	if err := writeFile(filepath.Join(r.dir, name), marshal(e)); err != nil {
		return fmt.Errorf("runlog: write environment: %w", err)
	}
	return nil
}

// Here returns e with the program and the machine of this process.
func (e Env) Here() Env {
	e.GoVersion, e.OS, e.Arch = runtime.Version(), runtime.GOOS, runtime.GOARCH
	e.Cores, e.GOMAXPROCS = runtime.NumCPU(), runtime.GOMAXPROCS(0)
	e.CPU = cpuModel()
	if info, ok := debug.ReadBuildInfo(); ok {
		e.Module, e.Version = info.Main.Path, info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				e.Revision = s.Value
			case "vcs.modified":
				e.Modified = s.Value == "true"
			}
		}
	}
	return e
}

// ReadEnv returns what the process wrote that computed the steps of a run before the given one, and reports whether
// there is such a file in the run directory.
func ReadEnv(dir string, step int) (e Env, ok bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return e, false
	}
	name, newest := "env.json", -1
	for _, entry := range entries {
		number, isEnv := strings.CutPrefix(entry.Name(), "env-")
		at, err := strconv.Atoi(strings.TrimSuffix(number, ".json"))
		if isEnv && err == nil && at < step && at > newest {
			name, newest = entry.Name(), at
		}
	}
	text, err := infile.Read(filepath.Join(dir, name), infile.Config)
	return e, err == nil && json.Unmarshal(text, &e) == nil
}

// cpuModel returns the model of the processor. Float32 sums depend on it and on the BLAS.
func cpuModel() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
