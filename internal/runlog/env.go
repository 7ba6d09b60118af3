package runlog

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
)

// Env is the content of env.json: everything besides the configuration that may
// influence the numbers of a run. The caller sets the first three fields, and
// WriteEnv the others.
type Env struct {
	Device     string            `json:"device"`
	BLAS       string            `json:"blas"`
	DataSHA256 map[string]string `json:"data_sha256"` // file -> hex digest

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
	e.Args = os.Args
	e.Start = stamp(r.clock.start)
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
	name := "env.json"
	if r.o.Resume && r.o.Step >= 0 {
		name = fmt.Sprintf("env-%d.json", r.o.Step)
	}
	if err := writeFile(filepath.Join(r.dir, name), marshal(e)); err != nil {
		return fmt.Errorf("runlog: write environment: %w", err)
	}
	return nil
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
