package importer

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/gradus-ai/gradus/internal/text"
)

// line is one paragraph of a page, or a line of one.
type line struct {
	number int // in the page, from 1
	text   string
	// heading is true where the page sets it apart: a heading, bold, numbered.
	heading bool
	// item is true for an item of a list.
	item bool
	// after is true where a blank line or the end of a block stands before it.
	after bool
}

// decode is the page as UTF-8 with LF, without what does not show. Line numbers
// stay what they were.
func decode(name string, data []byte) (string, error) {
	if len(data) > MaxBytes {
		return "", Faults{{Path: name, Reason: "larger than 1 MiB; cut the page in two"}}
	}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return "", Faults{{Path: name, Line: 1, Reason: "UTF-16; save the page as UTF-8"}}
	}
	page := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(string(data))
	if !utf8.ValidString(page) {
		at := len(strings.ToValidUTF8(page[:firstInvalid(page)], ""))
		return "", Faults{{Path: name, Line: 1 + strings.Count(page[:at], "\n"), Reason: "not valid UTF-8; save the page as UTF-8"}}
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\u00a0' || r == '\u202f' || r == '\u2007':
			return ' '
		case r < ' ' || text.Hidden(r) && r != '\u200d' && r != '\u200c':
			return -1
		}
		return r
	}, page), nil
}

func firstInvalid(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return len(s)
}

var markup = regexp.MustCompile(`(?i)</(p|div|h[1-6]|li|ul|ol|strong|b|em|span|section|article|body|blockquote)\s*>|<br\s*/?>`)

// linesOf takes a page apart into lines that say something.
func linesOf(page string) []line {
	var raw []line
	if markup.MatchString(page) {
		raw = fromHTML(page)
	} else {
		for i, l := range strings.Split(page, "\n") {
			raw = append(raw, line{number: i + 1, text: l})
		}
	}
	var out []line
	after := true
	for _, l := range raw {
		l.plain()
		if !says(l.text) {
			after = true
			continue
		}
		l.after = l.after || after
		after = false
		out = append(out, l)
	}
	return unwrapped(out)
}

// says reports whether there is a letter or digit in s.
func says(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return r >= utf8.RuneSelf && text.Parse(string(r)).Len() > 0 && len(text.Parse(string(r)).Tokens) > 0 ||
			'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	})
}

// fromHTML is the text of HTML, one line for each block.
func fromHTML(page string) []line {
	var out []line
	var b strings.Builder
	current := line{number: 1}
	number := 1
	flush := func() {
		if current.text = strings.Join(strings.Fields(b.String()), " "); current.text != "" {
			current.after = true
			out = append(out, current)
		}
		b.Reset()
		current = line{number: number}
	}
	bold, unseen := false, ""
	tokens := html.NewTokenizer(strings.NewReader(page))
	for {
		kind := tokens.Next()
		if kind == html.ErrorToken {
			if errors.Is(tokens.Err(), io.EOF) && unseen == "" {
				flush()
			}
			return out
		}
		raw := string(tokens.Raw())
		before := number
		number += strings.Count(raw, "\n")
		if kind == html.TextToken {
			if unseen != "" {
				continue
			}
			shown := html.UnescapeString(raw)
			if strings.TrimSpace(b.String()) == "" {
				lead := shown[:len(shown)-len(strings.TrimLeft(shown, " \t\n"))]
				current.number = before + strings.Count(lead, "\n")
				current.heading = current.heading || bold && says(shown)
			} else if says(shown) && !bold && current.heading && !strings.HasPrefix(b.String(), "## ") {
				current.heading = false // only its beginning is bold
			}
			b.WriteString(shown)
			continue
		}
		tag, _ := tokens.TagName()
		switch name := string(tag); name {
		case "script", "style", "noscript", "template", "svg", "button", "nav", "footer":
			if kind == html.StartTagToken && unseen == "" {
				flush()
				unseen = name
			} else if kind == html.EndTagToken && name == unseen {
				unseen = ""
			}
		case "b", "strong":
			bold = kind == html.StartTagToken
		case "h1", "h2", "h3", "h4", "h5", "h6", "dt", "summary":
			flush()
			current.heading = kind == html.StartTagToken
		case "li":
			flush()
			current.item = kind == html.StartTagToken
		case "p", "div", "br", "ul", "ol", "section", "article", "blockquote", "tr", "td", "th", "table", "dd", "dl", "details", "header", "main", "hr", "body", "html", "head", "title":
			heading, item := current.heading && b.Len() == 0, current.item && b.Len() == 0
			flush()
			// A paragraph inside a heading or an item is still one.
			current.heading, current.item = heading && kind == html.StartTagToken, item && kind == html.StartTagToken
		}
	}
}

var (
	hashes   = regexp.MustCompile(`^#{1,6}\s+`)
	quoting  = regexp.MustCompile(`^(?:>\s?)+`)
	bulleted = regexp.MustCompile(`^[-*+•‣–]\s+`)
	numbered = regexp.MustCompile(`^(?:\(?(?:[Qq](?:uestion)?\s*#?\s*)?\d{1,3}\s*[.):]|[Qq]uestion\s*#?\s*\d{1,3}\s*[-–—:.)]?|[Qq]\d{0,3}\s*[:.)]|[Qq]uestion\s*[:.])\s+`)
	whole    = regexp.MustCompile(`^(?:\*\*|__)([^*]+?)(?:\*\*|__)[.:]?$`)
	bold     = regexp.MustCompile(`(\*\*|__)(\S(?:[^*_]*\S)?)(\*\*|__)`)
	italic   = regexp.MustCompile(`(^|[\s("“])[*_](\S(?:[^*_]*\S)?)[*_]($|[\s).,:;!?"”])`)
	link     = regexp.MustCompile(`\[([^\]]+)\]\([^)\s]*\)`)
	escaped  = regexp.MustCompile(`\\([-\\_*#.!\[\]()>+` + "`" + `])`)
)

// plain takes markup off a line and notes what it said.
func (l *line) plain() {
	s := strings.TrimSpace(l.text)
	s = quoting.ReplaceAllString(s, "")
	if hashes.MatchString(s) {
		l.heading = true
		s = strings.TrimRight(hashes.ReplaceAllString(s, ""), "# ")
	}
	if bulleted.MatchString(s) {
		l.item = true
		s = bulleted.ReplaceAllString(s, "")
	}
	if m := whole.FindStringSubmatch(s); m != nil {
		l.heading = true
		s = m[1]
	}
	s = bold.ReplaceAllString(s, "$2")
	s = italic.ReplaceAllString(s, "$1$2$3")
	s = link.ReplaceAllString(s, "$1")
	s = escaped.ReplaceAllString(s, "$1")
	s = strings.ReplaceAll(s, "`", "")
	if numbered.MatchString(s) {
		l.heading = true
		s = numbered.ReplaceAllString(s, "")
		if m := whole.FindStringSubmatch(s); m != nil {
			s = m[1]
		}
	}
	l.text = strings.Join(strings.Fields(s), " ")
}

// wrapWidth is the width, in code points, within which all lines of a page lie
// whose paragraphs are broken into lines.
const wrapWidth = 100

// unwrapped joins the lines of paragraphs that were broken to fit a width.
func unwrapped(lines []line) []line {
	widest := 0
	for _, l := range lines {
		widest = max(widest, utf8.RuneCountInString(l.text))
	}
	if widest > wrapWidth {
		return lines
	}
	var out []line
	for _, l := range lines {
		if n := len(out); n > 0 && !l.after && !l.heading && !l.item && !opens(l.text) &&
			(!out[n-1].heading || continues(l.text)) && !strings.HasSuffix(out[n-1].text, "?") && utf8.RuneCountInString(lastLine(out[n-1].text)) > widest/2 {
			out[n-1].text += "\x00" + l.text
			continue
		}
		out = append(out, l)
	}
	for i := range out {
		out[i].text = strings.ReplaceAll(out[i].text, "\x00", " ")
	}
	return out
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, 0)+1:] }

// continues reports a line that opens in the middle of a sentence.
func continues(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return 'a' <= r && r <= 'z'
}
