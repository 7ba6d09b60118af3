package main

import (
	"fmt"
	"strings"
)

// header is the head of the table in docs/hardware.md.
const header = "| card | driver | version | date | checks | copy, GB/s | matrix product, TFLOP/s | 64 x 128, ms | " +
	"MRPC lengths, ms | 64 x 256, ms | memory, MiB |\n" +
	"|---|---|---|---|---|---:|---:|---:|---:|---:|---:|\n"

// markdown returns the table with one row, followed by the checks that failed
// or were skipped.
func (r Result) markdown() string {
	all := map[string]float64{}
	pass := 0
	var notes strings.Builder
	for _, o := range r.Outcomes {
		if o.Status == "pass" {
			pass++
		} else {
			fmt.Fprintf(&notes, "* %s: %s: %s\n", o.Name, o.Status, firstLine(o.Detail))
		}
		for k, v := range o.Figures {
			all[k] = v
		}
	}
	figure := func(key string, scale float64) string {
		if v, ok := all[key]; ok {
			return fmt.Sprintf("%.4g", v*scale)
		}
		return "-"
	}
	step := func(workload string) string {
		return figure("StepCUDA/workload="+workload+"/method=lor2c/dtype=bfloat16 ns/op", 1e-6)
	}
	return header + fmt.Sprintf("| %s | %s | %s | %s | %d of %d | %s | %s | %s | %s | %s | %s |\n\n",
		r.Card, r.Driver, r.Version, r.Date, pass, len(r.Outcomes),
		figure("Op/op=Copy/n=16384/c=4096/dtype=bf16 GB/s", 1),
		figure("Op/op=Linear/n=8192/k=8192/m=8192/dtype=bf16 TFLOP/s", 1),
		step("full"), step("mrpc"), step("long"),
		figure("StepCUDA/workload=full/method=lor2c/dtype=bfloat16 device-MiB", 1)) + notes.String()
}
