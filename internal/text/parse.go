package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parse finds the words and sentences of s.
//
// Words are runs of letters, marks and digits of any script; letters of scripts
// that do not separate words are words of their own. A number ends where
// letters begin ("500ms" is two tokens), a word may hold digits ("p99", "k8s").
// Hyphenated words are split. Tech tokens stay whole: "c++", "c#", ".net",
// "node.js", "v1.2", and the pairs "ci/cd", "blue/green" and the like, which
// are found hyphenated, too.
func Parse(s string) *Doc {
	p := parser{src: s, doc: &Doc{Source: s, index: newIndex(s)}, start: -1}
	p.doc.Tokens = make([]Token, 0, len(s)/5+2)
	p.doc.Sentences = make([]Sentence, 0, len(s)/80+2)
	for p.at < len(s) {
		r, size := p.peek(p.at)
		switch k := kindOf(r); k {
		case space:
			if r == '\n' || r == '\r' || r == 0x2028 || r == 0x2029 || r == '\v' || r == '\f' {
				p.lineEnd()
			}
			p.skip(size)
		case letter, solo:
			p.word(k)
		case digit, numeral:
			p.number(k)
		case hidden, mark:
			p.skip(size)
		default:
			p.sign(r, size)
		}
	}
	p.finish()
	return p.doc
}

// parser walks through a text once.
type parser struct {
	src string
	doc *Doc
	// at and cp are the place reached, in bytes and code points; line is the
	// byte where the current line began.
	at, cp, line int
	// start and end are the code points of the current sentence so far; start
	// is -1 before its first sign. first is its first token.
	start, end, first int
}

// peek decodes the character at byte i; (-1, 0) at the end.
func (p *parser) peek(i int) (rune, int) {
	if i >= len(p.src) {
		return -1, 0
	}
	if c := p.src[i]; c < utf8.RuneSelf {
		return rune(c), 1
	}
	return utf8.DecodeRuneInString(p.src[i:])
}

// kindAt is the kind of the character at byte i; space at the end.
func (p *parser) kindAt(i int) kind {
	r, size := p.peek(i)
	if size == 0 {
		return space
	}
	return kindOf(r)
}

// skip passes one character of no sentence.
func (p *parser) skip(size int) {
	p.at += size
	p.cp++
}

// take passes bytes and code points that belong to the current sentence.
func (p *parser) take(bytes, cps int) {
	if p.start < 0 {
		p.start = p.cp
	}
	p.at += bytes
	p.cp += cps
	p.end = p.cp
}

// word reads the word that begins here with a character of kind k.
func (p *parser) word(k kind) {
	i, n := p.at, 0 // byte and code points reached
	end, cps := i, 0
	last := k
	for i < len(p.src) {
		r, size := p.peek(i)
		this := kindOf(r)
		switch {
		case i == p.at, this == mark, k == letter && this.inWord():
			i, n = i+size, n+1
			end, cps, last = i, n, this
			continue
		case this == hidden:
			i, n = i+size, n+1 // part of the word if more of it follows
			continue
		case k == letter && i == end && p.joint(r, size, i, last):
			i, n = i+size, n+1
			continue
		}
		break
	}
	if k == letter {
		if more := p.dotted(end, cps); more > 0 {
			cps += more
			end += more
		} else if more := p.tech(end); more > 0 {
			cps += more
			end += more
		}
	}
	p.token(p.src[p.at:end], cps)
}

// joint reports whether the sign r at byte i joins the parts of a word: an
// apostrophe between letters, or a point between digits.
func (p *parser) joint(r rune, size, i int, last kind) bool {
	switch r {
	case '\'', '’', 'ʼ', '＇', '`', '´':
		return last != digit && p.kindAt(i+size) == letter
	case '.':
		return last == digit && p.kindAt(i+size) == digit
	}
	return false
}

// dotted returns how many ASCII characters after the single letter that ends at
// byte end make a dotted abbreviation of it: "e.g", "U.S". The last point is
// not part of it.
func (p *parser) dotted(end, cps int) int {
	n := 0
	if cps != 1 || p.at > 0 && p.src[p.at-1] == '.' {
		return 0
	}
	for end+n+1 < len(p.src) && p.src[end+n] == '.' && p.kindAt(end+n+1) == letter &&
		p.src[end+n+1] < utf8.RuneSelf && p.ends(end+n+2) {
		n += 2
	}
	return n
}

// endings are what may follow a point within a name.
var endings = set("js ts io net py go rs com org md sh sql yml yaml json xml html css tf exe")

// pairs are two words that name one thing when joined by a sign.
var pairs = map[string]string{
	"ci": "cd", "blue": "green", "red": "black", "tcp": "ip", "i": "o", "a": "b", "n": "a", "ui": "ux", "pub": "sub",
}

// tech returns how many ASCII characters after the word that ends at byte end
// make a tech token of it.
func (p *parser) tech(end int) int {
	if end >= len(p.src) {
		return 0
	}
	head := p.src[p.at:end]
	rest := p.src[end:]
	switch rest[0] {
	case '+':
		if strings.HasPrefix(rest, "++") && p.ends(end+2) && isOneOf(head, "c", "g", "vc", "notepad") {
			return 2
		}
	case '#':
		if p.ends(end+1) && isOneOf(head, "c", "f", "j") {
			return 1
		}
	case '.':
		n := lowLetters(rest[1:])
		if n > 0 && n <= 4 && endings[rest[1:1+n]] && p.ends(end+1+n) ||
			n == 0 && strings.HasPrefix(rest, ".JS") && p.ends(end+3) {
			return max(n, 2) + 1
		}
		if strings.HasPrefix(rest, ".NET") && p.ends(end+4) {
			return 4
		}
	case '/', '-':
		if len(head) > 4 || rest[0] == '-' && len(head) == 1 {
			return 0
		}
		if tail, ok := pairs[strings.ToLower(head)]; ok && len(rest) > len(tail) &&
			strings.EqualFold(rest[1:1+len(tail)], tail) && p.ends(end+1+len(tail)) {
			return 1 + len(tail)
		}
	}
	return 0
}

// ends reports whether no word goes on at byte i.
func (p *parser) ends(i int) bool { return !p.kindAt(i).inWord() }

func isOneOf(head string, names ...string) bool {
	for _, n := range names {
		if strings.EqualFold(head, n) {
			return true
		}
	}
	return false
}

// lowLetters counts the lower-case ASCII letters s begins with.
func lowLetters(s string) int {
	n := 0
	for n < len(s) && 'a' <= s[n] && s[n] <= 'z' {
		n++
	}
	return n
}

// number reads the number that begins here: digits, decimals, thousands and a
// percent sign.
func (p *parser) number(k kind) {
	i, n := p.at, 0
	for i < len(p.src) {
		r, size := p.peek(i)
		this := kindOf(r)
		if i == p.at || k == digit && this == digit {
			i, n = i+size, n+1
			continue
		}
		if k == digit && (r == '.' && p.kindAt(i+1) == digit || r == ',' && p.thousands(i+1)) {
			i, n = i+size, n+1
			continue
		}
		if r == '%' {
			i, n = i+size, n+1
		}
		break
	}
	p.token(p.src[p.at:i], n)
}

// thousands reports whether exactly three digits stand at byte i.
func (p *parser) thousands(i int) bool {
	n := 0
	for i+n < len(p.src) && '0' <= p.src[i+n] && p.src[i+n] <= '9' {
		n++
	}
	return n == 3
}

// token adds the word written here, of cps code points.
func (p *parser) token(spelling string, cps int) {
	w := words.find(spelling)
	start, end := p.cp, p.cp+cps
	p.take(len(spelling), cps)
	if w.second.norm != "" && cps > w.cut {
		p.add(w.first, start, end-w.cut)
		p.add(w.second, end-w.cut, end)
		return
	}
	p.add(w.first, start, end)
}

func (p *parser) add(w part, start, end int) {
	p.doc.Tokens = append(p.doc.Tokens, Token{
		Norm: w.norm, Stem: w.stem, Hash: w.hash, Start: start, End: end,
		Sentence: len(p.doc.Sentences), Class: w.class, Negator: w.negator,
	})
}

// sign passes a sign, which may end the sentence.
func (p *parser) sign(r rune, size int) {
	switch r {
	case '.':
		if p.dotNet() {
			return
		}
		if p.stops() {
			p.close()
			return
		}
	case '!', '?', ';', '。', '！', '？', '；', '．', '؟', '؛', '۔', '।', '॥', '…':
		if r != '…' || !p.goesOn(p.at+size) {
			p.close()
			return
		}
	case '•', '▪', '‣', '●', '◦', '➢', '➤', '✓', '✔':
		p.cutSentence()
	}
	p.take(size, 1)
}

// dotNet reads ".NET" standing on its own.
func (p *parser) dotNet() bool {
	if len(p.src)-p.at < 4 || !strings.EqualFold(p.src[p.at:p.at+4], ".net") || !p.ends(p.at+4) {
		return false
	}
	if p.at > 0 && (p.src[p.at-1] >= utf8.RuneSelf || asciiKinds[p.src[p.at-1]].inWord()) {
		return false
	}
	p.token(p.src[p.at:p.at+4], 4)
	return true
}

// goesOn reports whether the first letter from byte i on is a small one, with
// nothing but white space before it.
func (p *parser) goesOn(i int) bool {
	r := p.nextSign(i)
	return r >= 0 && unicode.IsLower(r)
}

// nextSign is the first character from byte i on that is not white space; -1
// at the end.
func (p *parser) nextSign(i int) rune {
	for i < len(p.src) {
		r, size := p.peek(i)
		if kindOf(r) != space {
			return r
		}
		i += size
	}
	return -1
}
