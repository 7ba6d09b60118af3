package tokenizer

import (
	"encoding/json"

	"github.com/lor2c/lor2c/internal/place"
)

// ChatTemplate returns the Jinja template of conversations that the files contain, and false if they have none:
// chat_template.jinja, or else chat_template of tokenizer_config.json. If that is a list, it is the template called
// "default". Package chat renders it.
func (t *Tokenizer) ChatTemplate() (template string, ok bool, err error) {
	if text, ok := t.files[chatTemplateFile]; ok {
		return string(text), true, nil
	}
	raw := t.chat.data
	if len(raw) == 0 || string(raw) == "null" {
		return "", false, nil
	}
	if json.Unmarshal(raw, &template) == nil {
		return template, true, nil
	}
	var list []struct {
		Name     string `json:"name"`
		Template string `json:"template"`
	}
	if json.Unmarshal(raw, &list) != nil {
		return "", false, place.Mistake(t.chat.errorf("chat_template is %s; it must be a template, or a list of objects "+
			"with name and template", excerpt(raw)))
	}
	named := map[string]string{}
	for _, entry := range list {
		if _, twice := named[entry.Name]; twice || entry.Name == "" {
			return "", false, place.Mistake(t.chat.errorf("chat_template has the name %s twice or empty; every template "+
				"must have its own name", place.Quote(entry.Name)))
		}
		named[entry.Name] = entry.Template
	}
	template, ok = named["default"]
	return template, ok, nil
}
