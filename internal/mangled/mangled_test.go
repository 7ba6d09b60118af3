package mangled

import (
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// TestMisread: text of many languages is found after its UTF-8 was read as Windows-1252 or Latin-1, and is repaired to
// what it was.
func TestMisread(t *testing.T) {
	for _, text := range []string{
		"café", "naïve façade", "Größe", "Österreich", "señor", "¿qué?", "it’s", "“quoted”", "a – b — c", "wait…",
		"€5", "5 £", "20 °C", "® and ™", "smile 😀", "heart ❤❤", "\ufeffstart", "a\u00a0b", "привет", "你好", "हिन्दी", "łódź",
		"šťastný", "İstanbul ışık", "één", "ångström", "l’été",
	} {
		for _, wrong := range []*charmap.Charmap{charmap.Windows1252, charmap.ISO8859_1} {
			damaged := ""
			for _, c := range []byte(text) {
				r := wrong.DecodeByte(c)
				// Windows-1252 has no character for five bytes, and programs take those of Latin-1.
				if r == utf8.RuneError {
					r = rune(c)
				}
				damaged += string(r)
			}
			if found, ok := Misread(damaged); !ok || found.Found == "" || found.Meant == "" {
				t.Errorf("%s: %q is not found", text, damaged)
			}
			if got := Repair(damaged); got != text {
				t.Errorf("%s: %q is repaired to %q", text, damaged, got)
			}
		}
		if found, ok := Misread(text); ok {
			t.Errorf("%q in the correct text %q", found.Found, text)
		}
	}
	if found, _ := Misread("it\u0092s"); found.Meant != "’" {
		t.Errorf("a byte of Windows-1252 read as Latin-1 is %+v", found)
	}
}

// TestMisreadCorrect: pairs of characters that look like damage and occur in correct text are not found.
func TestMisreadCorrect(t *testing.T) {
	for _, text := range []string{
		"", "plain", "voilà\u00a0», dit-il", "« déjà\u00a0»", "„JÄ“ sagte er", "Spaß“ und „Spaß”", "PERÚ»", "fiancé…»",
		"IRMÔ", "MAÇÃ\u00a0E", "CAFÉ’S", "à… suivre", "ÀÉÈ", "Ça va…", "Ünïcödë", "Þórð», sagði", "line\u0085next",
		"été—hiver", "É…", "x\ufffdy", "ï¿½", "São Paulo", "MÃE", "ÂNGULO", "日本語", "é»", "Straße«",
		"¡Olé!", "§ 5 Abs. 2", "1º", "´", "PERCHÉ…non lo so", "RENÉ…Marie", "È…vero", "20 É€", "É†",
	} {
		if found, ok := Misread(text); ok {
			t.Errorf("%q is found in %q", found.Found, text)
		}
		if got := Repair(text); got != text {
			t.Errorf("%q is repaired to %q", text, got)
		}
	}
}

func TestUndecoded(t *testing.T) {
	for text, want := range map[string]string{
		"caf\ufffd": "\ufffd", "caf\u00ef\u00bf\u00bd": "\u00ef\u00bf\u00bd", "café": "", "ï": "", "": "",
	} {
		if got, _ := Undecoded(text); got.Found != want {
			t.Errorf("%q has %q; want %q", text, got.Found, want)
		}
	}
}

// TestHTML: references and line breaks are found, and a sign alone, a name that HTML does not have and another tag are
// not.
func TestHTML(t *testing.T) {
	for text, want := range map[string]Trace{
		"salt &amp; pepper":  {Found: "&amp;", Meant: "&"},
		"it&#39;s":           {Found: "&#39;", Meant: "'"},
		"it&#x27;s":          {Found: "&#x27;", Meant: "'"},
		"one<br />two":       {Found: "<br />", Meant: "\n"},
		"one<BR>two":         {Found: "<BR>", Meant: "\n"},
		"a &foo; b &lt; c":   {Found: "&lt;", Meant: "<"},
		"a&nbsp;b":           {Found: "&nbsp;", Meant: "\u00a0"},
		"salt & pepper":      {},
		"R&D; and AT&T;":     {},
		"a < b > c":          {},
		"if (a && b) c();":   {},
		"<brave> new <em>":   {},
		"x &amp y &;":        {},
		"https://x/?a=1&b=2": {},
		"int *p = &sum;":     {},
		"<b>x</b> &amp; y":   {},
		"```\n&amp;\n```":    {},
	} {
		got, found := HTML(text)
		if got.Found != want.Found || got.Meant != want.Meant || found != (want.Found != "") {
			t.Errorf("%q has %q for %q; want %q for %q", text, got.Found, got.Meant, want.Found, want.Meant)
		}
	}
}

// TestExcerpt: an excerpt is one line with at most twelve characters on either side.
func TestExcerpt(t *testing.T) {
	for text, want := range map[string]string{
		"it&#39;s":     "it&#39;s",
		"a\n\tb&amp;c": "a b&amp;c",
		"ééééééééééééééé &amp; yyyy": "ééééééééééé &amp; yyyy",
		"&lt;0123456789abcdef":       "&lt;0123456789ab",
	} {
		trace, _ := HTML(text)
		if got := trace.Excerpt(); got != want {
			t.Errorf("%q: %q; want %q", text, got, want)
		}
	}
}
