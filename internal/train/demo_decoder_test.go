package train

import (
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

const demoDecoder = "../../demo/decoder"

// story is what transformers writes after the token <s> with the demo decoder, greedily.
var story = []int32{
	1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338, 401, 396, 267, 337, 410, 408, 419,
	292, 411, 322, 265, 282, 295, 433, 426, 385, 328, 432, 358, 394, 261, 370, 432, 352, 266, 268, 388, 426, 338, 391,
	266, 267, 337, 335, 312, 432, 398, 312, 286, 267, 414, 270, 333, 415, 426, 13, 438, 310,
}

// TestDemoDecoder: the demo decoder continues with the tokens that transformers chooses, and its tokenizer reads them
// as the beginning of a story.
func TestDemoDecoder(t *testing.T) {
	tok, err := tokenizer.Load(demoDecoder)
	if err != nil {
		t.Fatal(err)
	}
	const want = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One " +
		"day, she saw a big, red ball. She wanted to play with it, but it was too high.\nLily"
	if got := tok.Text(story[1:]); got != want {
		t.Errorf("the story begins %q; want %q", got, want)
	}
	if got := tok.Encode("Once upon a time", nil, 0).IDs; !slices.Equal(got, story[:5]) {
		t.Errorf("the beginning has the tokens %v; want %v", got, story[:5])
	}
	dev := cpu.Open[float32](1)
	m, err := model.LoadDecoder(dev, demoDecoder, len(story), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := model.Batch{IDs: story, Cu: []int32{0, int32(len(story))}}
	p := m.NewPass(&tape.Tape{Dev: dev}, b, model.Base{})
	logits := cpu.Data[float32](p.Linear(m.Forward(p), m.Vocabulary(), nil, compute.Identity).Value)
	for i, want := range story[1:] {
		row := logits[i*m.Vocab : (i+1)*m.Vocab]
		if got := slices.Index(row, slices.Max(row)); int32(got) != want {
			t.Fatalf("token %d is %d with %.4f; want %d with %.4f", i+1, got, row[got], want, row[want])
		}
	}
}
