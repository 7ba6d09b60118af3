package chat

import "strings"

// repair returns source without two constructs that gonja renders otherwise
// than Jinja: white space between two delimiters of one line, which gonja drops
// before a statement, and a negative index, which gonja does not find if it
// leads to the first item. They become {{ ' ' }} and [-1:][0].
func repair(source string) string {
	var out strings.Builder
	parts := divide(source)
	for i, p := range parts {
		switch {
		case p.code:
			out.WriteString(repairIndexes(p.source))
		case i > 0 && i+1 < len(parts) && isBlank(p.source) && keepsSpace(parts[i-1].source, parts[i+1].source):
			out.WriteString("{{ '" + p.source + "' }}")
		default:
			out.WriteString(p.source)
		}
	}
	return out.String()
}

func isBlank(s string) bool { return s != "" && strings.Trim(s, " \t") == "" }

// keepsSpace reports whether Jinja keeps white space between two pieces of code.
func keepsSpace(before, after string) bool {
	if tag, _ := firstWord(before); tag == "raw" {
		return false
	}
	trims := strings.HasSuffix(before, "-%}") || strings.HasSuffix(before, "-}}")
	return !trims && strings.HasPrefix(after, "{%") && !strings.HasPrefix(after, "{%-") && !strings.HasPrefix(after, "{%+")
}

// repairIndexes rewrites the negative indexes of one piece of code.
func repairIndexes(code string) string {
	var out strings.Builder
	for i := 0; i < len(code); {
		c := code[i]
		if c == '\'' || c == '"' {
			end := stringEnd(code, i)
			out.WriteString(code[i:end])
			i = end
			continue
		}
		isIndex := c == '[' && i > 0 && (isNameByte(code[i-1]) || strings.IndexByte("])'\"", code[i-1]) >= 0)
		if isIndex {
			end := bracketEnd(code, i)
			inner := strings.TrimSpace(code[i+1 : max(i+1, end-1)])
			if digits, negative := strings.CutPrefix(inner, "-"); negative && digits != "" &&
				strings.Trim(digits, "0123456789") == "" {
				out.WriteString("[" + inner + ":][0]")
				i = end
				continue
			}
		}
		out.WriteByte(c)
		i++
	}
	return out.String()
}
