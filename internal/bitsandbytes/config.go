package bitsandbytes

import (
	"encoding/json"
	"fmt"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// CheckConfig returns an error unless raw, the quantization_config of a config.json, is absent or says that weights are
// in four bits as nf4. Details of the storage are checked by [Open].
func CheckConfig(raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var c struct {
		Method string `json:"quant_method"`
		Four   bool   `json:"load_in_4bit"`
		Eight  bool   `json:"load_in_8bit"`
		Type   string `json:"bnb_4bit_quant_type"`
	}
	// fp4 is the default of transformers.
	c.Type = "fp4"
	const want = "want nf4 of bitsandbytes, or weights in float32, bfloat16 or float16"
	if err := strictjson.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("quantization_config is not what transformers writes: %w; %s", strictjson.WithoutPlace(err), want)
	}
	switch {
	case c.Method != "" && c.Method != "bitsandbytes":
		return fmt.Errorf("quantization_config.quant_method is %s; %s", place.Quote(c.Method), want)
	case c.Eight:
		return fmt.Errorf("quantization_config.load_in_8bit is true; %s", want)
	case !c.Four:
		return fmt.Errorf("quantization_config.load_in_4bit is not true; %s", want)
	case c.Type != "nf4":
		return fmt.Errorf("quantization_config.bnb_4bit_quant_type is %s; %s", place.Quote(c.Type), want)
	}
	return nil
}
