// Command predictstep writes bench/results/predicted-step.json, the predicted time of the training steps whose launches
// are in bench/results/launches-*.csv, on an NVIDIA H200. Run it from the root of the repository:
//
//	go run ./scripts/predictstep [VERSION]
//
// It replaces the predictions of the last version, or adds a version, and keeps those of earlier ones. Its test fails
// if the last version is not that of the lists.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

const results = "bench/results"

// prediction is the predicted time of a step, with products at two parts of the card's rate, because it is not known
// which of them mma.sync reaches.
type prediction struct {
	Workload string  `json:"workload"`
	Launches int     `json:"launches"`
	FloorMs  float64 `json:"floor_ms"` // bytes at the copy rate or products at the full rate
	FastMs   float64 `json:"ms_at_62_percent"`
	SlowMs   float64 `json:"ms_at_53_percent"`
	// SlowGroupsMs divides SlowMs among kinds of launches.
	SlowGroupsMs map[string]float64 `json:"groups_ms_at_53_percent"`
}

type version struct {
	Version string       `json:"version"`
	Steps   []prediction `json:"steps"`
}

// file is predicted-step.json.
type file struct {
	What     string    `json:"what"`
	Formula  []string  `json:"formula"`
	Versions []version `json:"versions"`
}

func main() {
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	if err := write(filepath.Join(results, "predicted-step.json"), name); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write writes the predictions of a version, or of the last one if name is empty.
func write(path, name string) error {
	f, err := read(path)
	if err != nil {
		return err
	}
	last := len(f.Versions) - 1
	if name != "" && (last < 0 || f.Versions[last].Version != name) {
		f.Versions = append(f.Versions, version{Version: name})
		last++
	}
	if last < 0 {
		return fmt.Errorf("predictstep: %s has no version; want the name of one as the argument", path)
	}
	if f.Versions[last].Steps, err = predictAll(results); err != nil {
		return err
	}
	f.What, f.Formula = what, formula
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", " ")
	if err := e.Encode(f); err != nil {
		return err
	}
	return os.WriteFile(path, text.Bytes(), 0o666)
}

// read reads the file, which may be missing.
func read(path string) (f file, err error) {
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	return f, err
}

// predictAll returns the predictions for the lists in a folder.
func predictAll(dir string) (all []prediction, err error) {
	for _, w := range workloads {
		raw, err := os.ReadFile(filepath.Join(dir, "launches-"+w.list+".csv"))
		if err != nil {
			return nil, err
		}
		p, err := w.predict(raw)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}
