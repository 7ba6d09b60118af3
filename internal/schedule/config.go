package schedule

import (
	"reflect"

	"github.com/lor2c/lor2c/internal/setting"
)

// Config is the `schedule:` section of a run file. The tags describe the keys. The upper bounds of counts are far above
// any use, and sums of such counts do not overflow. If MaxMerges and MaxInjects are both 0, LoR2C has no schedule.
// Evaluate, Moments, Changed and WhatIf determine how an action is carried out; this package does not use them.
type Config struct {
	Preset       string  `yaml:"preset" doc:"fills the keys below that are empty; release is what the published code does" words:"paper|release"`
	MaxMerges    int     `yaml:"max_merges" doc:"M_max, merges of neighbouring modules in a run" range:"0..1000000" example:"2"`
	MaxInjects   int     `yaml:"max_injects" doc:"I_max, modules replaced by LoRA in a run" range:"0..1000000" example:"1"`
	Timing       string  `yaml:"timing" doc:"when: epochs (eq. 11, 12), or steps, fractions of an epoch for short runs" words:"|epochs|steps"`
	Score        string  `yaml:"score" doc:"what a module is judged by" words:"|sfs|nuclear"`
	SFSK         int     `yaml:"sfs_k" doc:"largest singular values that SFS leaves out" range:"1..1000000" unset:"2" example:"2"`
	MergeSelect  string  `yaml:"merge_select" doc:"the pair with the least or greatest sum of scores is merged" words:"|min|max"`
	Keep         string  `yaml:"keep" doc:"whose factors a merged module has: the richer or the first member's" words:"|richer|first"`
	InjectSelect string  `yaml:"inject_select" doc:"the module with the least or greatest score is replaced" words:"|min|max"`
	MaxSpan      int     `yaml:"max_span" doc:"most layers of a merged module; 0 means no bound" range:"0|2..1000000" example:"4"`
	Adjacency    string  `yaml:"adjacency" doc:"around an injected layer: gap (no merge across it) or strict (its neighbours do not merge)" words:"|gap|strict"`
	OnConflict   string  `yaml:"on_conflict" doc:"merge and injection due together: both, or the injection later" words:"|both|defer_inject"`
	Until        float64 `yaml:"until" doc:"share of training after which nothing changes" range:">0..1" unset:"0.5 for preset paper and 1 for release" example:"0.5"`
	Evaluate     string  `yaml:"evaluate" doc:"an epoch's evaluation comes after or before its changes" words:"|after|before"`
	Moments      string  `yaml:"moments" doc:"AdamW's moments of a merged module" words:"|keep|reset"`
	Changed      string  `yaml:"changed" doc:"merged and injected parameters: train, or freeze as the published code does" words:"|train|freeze"`
	WhatIf       int     `yaml:"what_if" doc:"dev examples on which every candidate is tried before a change; 0 tries none" range:"0..1000000" example:"64"`
}

// These are the words that keys of Config can have as values.
const (
	PresetPaper   = "paper"
	PresetRelease = "release"

	TimingEpochs = "epochs" // actions at the ends of epochs, by eq. 11 and 12
	TimingSteps  = "steps"  // actions at fractions of epochs, for runs of few epochs

	ScoreSFS     = "sfs"
	ScoreNuclear = "nuclear"

	SelectMin = "min"
	SelectMax = "max"

	KeepRicher = "richer" // keep the member of the higher score, or the lower member on a tie
	KeepFirst  = "first"

	AdjacencyGap    = "gap"    // allow no merge across an injected layer
	AdjacencyStrict = "strict" // also allow no merge of a module beside an injected layer

	ConflictBoth  = "both"         // merge, then inject
	ConflictDefer = "defer_inject" // inject at the next end of an epoch that has no merge

	EvaluateAfter  = "after" // an epoch's evaluation sees its actions
	EvaluateBefore = "before"

	MomentsKeep  = "keep"
	MomentsReset = "reset"

	ChangedTrain  = "train"
	ChangedFreeze = "freeze" // what was merged or injected is never updated again
)

// Default returns the settings of a run file without the section.
func Default() Config { return Config{Preset: PresetPaper} }

// presets are the settings that a preset fills in. PresetRelease follows the
// published code for GLUE where its behaviour is defined: it compares mean
// singular values, keeps the factors of the lower member, tries an operation
// until the end of training, and does not train what it has changed.
var presets = map[string]Config{
	PresetPaper: {
		Timing: TimingEpochs, Score: ScoreSFS, SFSK: 2, MergeSelect: SelectMin, Keep: KeepRicher, InjectSelect: SelectMin,
		Adjacency: AdjacencyGap, OnConflict: ConflictBoth, Until: 0.5, Evaluate: EvaluateAfter, Moments: MomentsKeep,
		Changed: ChangedTrain,
	},
	PresetRelease: {
		Timing: TimingEpochs, Score: ScoreNuclear, SFSK: 2, MergeSelect: SelectMin, Keep: KeepFirst, InjectSelect: SelectMax,
		Adjacency: AdjacencyGap, OnConflict: ConflictBoth, Until: 1, Evaluate: EvaluateAfter, Moments: MomentsKeep,
		Changed: ChangedFreeze,
	},
}

// Resolve sets every field that is not set to the preset's value.
func (c *Config) Resolve() {
	p, ok := presets[c.Preset]
	if !ok {
		return
	}
	value, preset := reflect.ValueOf(c).Elem(), reflect.ValueOf(p)
	for i := range value.NumField() {
		if value.Field(i).IsZero() {
			value.Field(i).Set(preset.Field(i))
		}
	}
}

// Validate returns every fault of c that does not depend on the run. Each fault starts with its key. An unset field is
// not a fault.
func (c Config) Validate() []error { return setting.Faults("schedule", c) }

// Active reports whether c asks for any merge or injection.
func (c Config) Active() bool { return c.MaxMerges+c.MaxInjects > 0 }
