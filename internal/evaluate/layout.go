package evaluate

import (
	"maps"
	"slices"

	"github.com/lor2c/lor2c/internal/benchmark"
)

// layout returns the results in lm-eval's layout. What that layout has no key for is under the key lor2c.
func (e *Evaluation) layout(r *Results) map[string]any {
	tasks := slices.Sorted(maps.Keys(e.original))
	configs, versions, shots := map[string]any{}, map[string]any{}, map[string]any{}
	samples, better := map[string]any{}, map[string]any{}
	asked := map[string]int{}
	for _, q := range e.questions {
		asked[q.task]++
	}
	k, output := 0, "loglikelihood_rolling"
	if e.benchmark != nil {
		k, output = e.benchmark.Shots, "generate_until"
		if e.questions[0].item.Choices != nil {
			output = "multiple_choice"
		}
	}
	for _, task := range tasks {
		configs[task] = map[string]any{"task": task, "output_type": output, "num_fewshot": k}
		versions[task], shots[task] = e.title, k
		samples[task] = map[string]int{"original": e.original[task], "effective": asked[task]}
		up := map[string]bool{}
		for _, name := range e.metrics() {
			up[name] = e.benchmark != nil
		}
		better[task] = up
	}
	groups, subtasks := map[string]any{}, map[string]any{}
	if e.benchmark != nil && e.benchmark.Grouped() {
		groups[e.benchmark.Name], subtasks[e.benchmark.Name] = r.Scores[e.benchmark.Name], tasks
		areas := map[string][]string{}
		for _, q := range e.questions {
			area := "mmlu_" + benchmark.Area(q.item.Task)
			if _, scored := r.Scores[area]; scored && !slices.Contains(areas[area], q.task) {
				areas[area] = append(areas[area], q.task)
			}
		}
		for area, members := range areas {
			groups[area], subtasks[area] = r.Scores[area], members
		}
	}
	return map[string]any{
		"results": r.Scores, "groups": groups, "group_subtasks": subtasks, "configs": configs, "versions": versions,
		"n-shot": shots, "n-samples": samples, "higher_is_better": better,
		"config": map[string]any{
			"model": "lor2c", "model_args": e.Identity, "batch_size": e.Batch, "limit": e.Limit, "random_seed": e.Seed,
			"gen_kwargs": map[string]any{
				"do_sample": e.sampling.DoSample, "temperature": e.sampling.Temperature, "top_k": e.sampling.TopK,
				"top_p": e.sampling.TopP,
			},
		},
		"model_name": e.Identity["model"], "lor2c": r,
	}
}
