package generate

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/computetest"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// simulated is a cache that holds tokens in place of keys and values.
type simulated struct {
	*blocks
	rows   [][compute.BlockRows]int32
	copied int
}

func (s *simulated) fill(to, from int32, rows int) {
	copy(s.rows[to][:rows], s.rows[from][:rows])
	s.copied += rows
}

// compute stores the tokens of a text that are not in the cache.
func (s *simulated) compute(t *text) {
	for ; t.cached < len(t.ids); t.cached++ {
		s.rows[t.blocks[t.cached/compute.BlockRows]][t.cached%compute.BlockRows] = t.ids[t.cached]
	}
}

// check compares the tokens in the blocks of all texts with the texts, and the counts of users with the texts.
func (s *simulated) check(t *testing.T) {
	t.Helper()
	users := make([]int, len(s.users))
	for _, x := range s.texts {
		for i, id := range x.ids[:x.cached] {
			if got := s.rows[x.blocks[i/compute.BlockRows]][i%compute.BlockRows]; got != id {
				t.Fatalf("token %d of a text is %d in its block; want %d", i, got, id)
			}
		}
		for _, b := range x.blocks {
			users[b]++
		}
		if x.finished && len(x.blocks) == 0 {
			t.Fatal("a text without blocks is kept")
		}
	}
	for _, x := range s.texts {
		for i := x.cached / compute.BlockRows; !x.finished && i < len(x.blocks); i++ {
			if users[x.blocks[i]] > 1 && (i > x.cached/compute.BlockRows || x.cached%compute.BlockRows > 0) {
				t.Fatalf("a block that a text writes has %d users", users[x.blocks[i]])
			}
		}
	}
	if !slices.Equal(users, s.users) {
		t.Fatalf("blocks have %v users; %v are counted", users, s.users)
	}
	for _, b := range s.free {
		if users[b] > 0 {
			t.Fatalf("block %d is free and has %d users", b, users[b])
		}
	}
	if free := len(s.free) + countUsed(users); free != len(users) {
		t.Fatalf("%d of %d blocks are free or used", free, len(users))
	}
}

func countUsed(users []int) (n int) {
	for _, u := range users {
		if u > 0 {
			n++
		}
	}
	return n
}

// TestBlocks: with random texts that begin alike, the blocks of each text hold its tokens, no text writes to a block of
// another, full blocks of common tokens are not copied, and no block is lost.
func TestBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const tokens = 300
	starts := make([][]int32, 4)
	for i := range starts {
		starts[i] = make([]int32, 1+rng.IntN(260))
		for j := range starts[i] {
			starts[i][j] = int32(rng.IntN(3))
		}
	}
	for _, total := range []int{model.CacheBlocks(tokens), 11, 40} {
		s := &simulated{blocks: newBlocks(total), rows: make([][compute.BlockRows]int32, total)}
		var active []*text
		refused, reused, computed := 0, 0, 0
		for range 3000 {
			ids := slices.Clone(starts[rng.IntN(len(starts))])
			ids = ids[:1+rng.IntN(len(ids))]
			for range rng.IntN(tokens - len(ids)) {
				ids = append(ids, int32(rng.IntN(3)))
			}
			source, cached := s.longest(nil, ids[:len(ids)-1])
			x := s.take(ids, source, cached, min(tokens, len(ids)+rng.IntN(40)), s.fill)
			if x != nil {
				reused, computed = reused+cached, computed+len(ids)-cached
				active = append(active, x)
				s.compute(x)
			} else if refused++; len(active) == 0 {
				t.Fatal("a text is refused although no other is unfinished")
			}
			s.check(t)
			for len(active) > 0 && (x == nil || rng.IntN(2) == 0) {
				i := rng.IntN(len(active))
				s.finish(active[i])
				active = slices.Delete(active, i, i+1)
				s.check(t)
				if x == nil {
					break
				}
			}
		}
		if total == 40 && reused < computed/5 || reused == 0 || s.copied > 3000*compute.BlockRows {
			t.Errorf("with %d blocks, %d tokens were reused, %d computed and %d copied", total, reused, computed, s.copied)
		}
		if total < 12 && refused == 0 {
			t.Errorf("with %d blocks no text had to wait", total)
		}
	}
}

// TestFewerBlocks: with memory for the keys and values of fewer texts, fewer are continued at a time, and each becomes
// the same. With memory for less than one the error says what is needed.
func TestFewerBlocks(t *testing.T) {
	var requests []Request
	for i := range 5 {
		requests = append(requests, Request{story[:60+i], 8})
	}
	var want []Result
	for _, texts := range []int{5, 2, 1, 0} {
		dev := &computetest.Limited{Device: cpu.Open[float32](1), Memory: 1 << 40}
		g := generator(t, dev, "head", nil, nil)
		dev.Memory = dev.Stats().PersistentBytes + int64(2*texts+1)*g.Model.CacheBytes(dev)
		results, err := g.Run(t.Context(), requests, 5)
		if texts == 0 {
			if !errors.Is(err, compute.ErrOutOfMemory) || !strings.Contains(err.Error(), "needed for one text of 72 tokens") {
				t.Errorf("error is %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = results
		}
		for i, r := range results {
			if !slices.Equal(r.IDs, want[i].IDs) {
				t.Errorf("with room for %d texts, text %d becomes %v; want %v", texts, i, r.IDs, want[i].IDs)
			}
		}
		if most := min(10, 2*texts+1); g.cache.Blocks != most {
			t.Errorf("the cache has %d blocks; want %d", g.cache.Blocks, most)
		}
	}
}

// TestPlan: generation needs the planned memory, and allocates none after Use. A plan that does not fit is an error.
func TestPlan(t *testing.T) {
	texts, err := Open(Source{Model: "../../demo/decoder"})
	if err != nil {
		t.Fatal(err)
	}
	defer texts.Close()
	dev := &computetest.Limited{Device: cpu.Open[float32](1), Memory: 1 << 40}
	const slots, tokens = 3, 500
	plan, err := texts.Plan(dev, slots, tokens)
	if err != nil {
		t.Fatal(err)
	}
	g, err := texts.LoadPlanned(dev, plan, 1)
	if err != nil {
		t.Fatal(err)
	}
	before := dev.Stats()
	var requests []Request
	for i, n := range []int{480, 300, 490, 70, 499} {
		ids := make([]int32, n)
		for j := range ids {
			ids[j] = int32(300 + (i+j)%100)
		}
		requests = append(requests, Request{ids, 500 - n})
	}
	if _, err := g.Run(t.Context(), requests, slots); err != nil {
		t.Fatal(err)
	}
	after := dev.Stats()
	if after.Grown != before.Grown || after.PersistentBytes != plan.Weights+plan.Cache {
		t.Errorf("the arena grew %d times, and %d bytes are allocated; want none, and %d", after.Grown-before.Grown,
			after.PersistentBytes, plan.Weights+plan.Cache)
	}
	if used := after.PersistentBytes + after.ArenaBytes; used > plan.Total() || used < plan.Total()*98/100 {
		t.Errorf("%d bytes were used; %d were planned", used, plan.Total())
	}
	dev = &computetest.Limited{Device: cpu.Open[float32](1), Memory: plan.Total() - plan.Cache/2}
	if fewer, err := texts.Plan(dev, slots, tokens); err != nil || fewer.Texts != 1 || fewer.Total() > dev.Memory {
		t.Errorf("with less memory, %+v and %v; want one text at a time", fewer, err)
	}
	dev.Memory = plan.Weights
	if _, err := texts.Plan(dev, slots, tokens); !errors.Is(err, compute.ErrOutOfMemory) ||
		!strings.Contains(err.Error(), "needed for one text of 500 tokens (weights ") {
		t.Errorf("error is %v", err)
	}
}

// TestLogitMemory: with a vocabulary of 128,256 tokens, neither a prompt of 2,048 tokens nor the log-likelihood of as
// many needs memory for the logits of all of them.
func TestLogitMemory(t *testing.T) {
	const tokens, vocabulary = 2048, 128256
	dir := t.TempDir()
	config := `{"model_type": "llama", "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 128,
		"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
		"max_position_embeddings": 4096, "vocab_size": 128256, "tie_word_embeddings": true, "rope_theta": 10000.0}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := model.ReadDecoderConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	dev := nulldev.Open(4)
	m, err := model.NewDecoder(dev, c, tokens, nil, model.NoValues)
	if err != nil {
		t.Fatal(err)
	}
	method, err := adapter.Attach(dev, m, adapter.Settings{Config: adapter.NewConfig("head")})
	if err != nil {
		t.Fatal(err)
	}
	g := &Generator{Dev: dev, Model: m, Method: method, Sampling: Greedy()}
	if err := g.Prepare(2, tokens); err != nil {
		t.Fatal(err)
	}
	ids := make([]int32, tokens)
	const all = tokens * vocabulary * 4
	if err := g.pass(g.largest(2, tokens)); err != nil || dev.Stats().ArenaPeak > all/50 {
		t.Errorf("a prompt needs %d bytes, %v; the logits of all its tokens have %d", dev.Stats().ArenaPeak, err, all)
	}
	if _, err := g.follow(ids, 0, [][]int32{ids}); err != nil || dev.Stats().ArenaPeak > all/10 {
		t.Errorf("a log-likelihood needs %d bytes, %v; the logits of all its tokens have %d", dev.Stats().ArenaPeak, err, all)
	}
}

// TestForeignWeights: weights in a form that is not read are a mistake of the user, and the error says how to convert
// them.
func TestForeignWeights(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.model", "tokenizer_config.json"} {
		raw, err := os.ReadFile(filepath.Join("../../demo/decoder", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "consolidated.00.pth"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	texts, err := Open(Source{Model: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer texts.Close()
	const want = "lor2c does not read consolidated.00.pth; convert it with convert_llama_weights_to_hf.py"
	dev := cpu.Open[float32](1)
	_, plan := texts.Plan(dev, 1, 8)
	_, load := texts.Load(dev, 8, 1)
	_, identity := texts.Identity()
	for _, err := range []error{plan, load, identity} {
		if err == nil || !strings.Contains(err.Error(), want) || !place.IsMistake(err) {
			t.Errorf("error %v; want %s", err, want)
		}
	}
}
