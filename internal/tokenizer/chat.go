package tokenizer

import (
	"encoding/json"
	"errors"
	"io/fs"

	"github.com/lor2c/lor2c/internal/place"
)

// readChatTemplates reads the chat templates: chat_template.jinja, which comes
// first, and chat_template of tokenizer_config.json, whose content src is.
func (c *config) readChatTemplates(d *folder, src *source) error {
	c.templates = map[string]string{}
	var list []struct {
		Name     string `json:"name"`
		Template string `json:"template"`
	}
	var one string
	switch raw := c.ChatTemplate; {
	case len(raw) == 0 || string(raw) == "null":
	case json.Unmarshal(raw, &one) == nil:
		c.templates["default"] = one
	case json.Unmarshal(raw, &list) == nil:
		for _, t := range list {
			if _, twice := c.templates[t.Name]; twice || t.Name == "" {
				return src.errorf("chat_template has the name %s twice or empty; every template must have its own name",
					place.Quote(t.Name))
			}
			c.templates[t.Name] = t.Template
		}
	default:
		return src.errorf("chat_template is %s; it must be a template, or a list of objects with name and template",
			excerpt(raw))
	}
	file, err := d.read(chatTemplateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	c.templates["default"] = string(file.data)
	return nil
}
