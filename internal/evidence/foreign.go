package evidence

import (
	"encoding/base64"
	"strings"
	"unicode"

	"github.com/gradus-ai/gradus/internal/text"
)

// tongue is how another language speaks to a judge, as beginnings or parts of
// folded words: an order to ignore what it was told, or a plea for a top mark.
type tongue struct{ ignore, told, top, mark, give []string }

func tongueOf(ignore, told, top, mark, give string) tongue {
	return tongue{strings.Fields(ignore), strings.Fields(told), strings.Fields(top), strings.Fields(mark), strings.Fields(give)}
}

var tongues = []tongue{
	// Spanish, Portuguese, Italian, French, German, Dutch, Polish, Turkish, Indonesian
	tongueOf("ignora ignore olvida omita haz_caso_omiso", "instruccion criterio rúbrica rubrica reglas indicacion", "máxima maxima más_alta mas_alta máximo maximo perfecta completa sobresaliente", "nota puntuación puntuacion calificación calificacion puntos puntaje", "ponga pon_ ponme dé_ dame asigne otorgue califique por_favor marque ponle apruebe corrector"),
	tongueOf("ignore esqueça esqueca desconsidere", "instruç instruc critério criterio rubrica regras", "máxima maxima mais_alta máximo total perfeita", "nota pontuação pontuacao pontos", "dê atribua coloque por_favor avaliador avalie"),
	tongueOf("ignora dimentica trascura", "istruzion criteri regole rubrica", "massimo massima più_alto piu_alto pieni pieno", "voto voti punteggio punti", "assegna dai_ dammi metti per_favore date_ dare valutatore correttore"),
	tongueOf("ignore oubli ne_tenez_pas", "instruction consigne critère critere barème bareme règles", "maximale maximum meilleure totalité plus_haute parfaite", "note points mention score", "mettez donnez donne mets attribue attribuez accordez svp s'il_vous correcteur"),
	tongueOf("ignorier vergiss vergessen missacht", "anweisung kriterien instruktion vorgaben regeln", "volle maximal bestnote höchst hoechst beste", "punkt note bewertung", "gib geben gebt vergib vergeben bitte setze erteile prüfer korrektor"),
	tongueOf("negeer vergeet", "instructies criteria regels", "maximale hoogste volle", "cijfer punten score", "geef ken alsjeblieft alstublieft beoordelaar"),
	tongueOf("zignoruj ignoruj zapomnij", "instrukc kryteri polece", "maksymaln najwyższ pełn", "punkt ocen", "daj przyznaj proszę wystaw"),
	tongueOf("yok_say görmezden unut", "talimat kriter kural", "tam_ en_yüksek maksimum", "puan not", "ver verin lütfen veriniz"),
	tongueOf("abaikan lupakan", "instruksi kriteria perintah", "tertinggi penuh maksimal sempurna", "nilai skor", "berikan beri tolong mohon"),
	// Russian, Ukrainian, Greek
	tongueOf("игнорир проигнорир забудь забудьте", "инструкц критери указан правил", "максимальн высш наивысш полный полные отличн", "балл оценк", "постав дай присво пожалуйста выстав прошу проверяющ"),
	tongueOf("ігнору забудь", "інструкц критері правил", "максимальн найвищ", "бал оцінк", "постав дай будь_ласка"),
	tongueOf("αγνόησε αγνοήστε ξέχασε", "οδηγί κριτήρι κανόν", "μέγιστ άριστα υψηλότερ", "βαθμ", "δώσε βάλε παρακαλώ δώστε"),
	// Chinese, Japanese, Korean
	tongueOf("忽略 无视 無視 忘记 忘記 忽视", "指令 指示 标准 標準 规则 規則 提示 要求 说明", "满 滿 最高", "分", "请 請 给 給 打 评 評 阅卷"),
	tongueOf("無視 忘れ", "指示 基準 命令 プロンプト ルール", "満点 最高 満額", "満点 点 評価 スコア", "ください 下さい 採点 与え つけ 評価者 お願い"),
	tongueOf("무시 잊", "지시 기준 명령 규칙", "만점 최고", "만점 점 점수", "주세요 부탁 주십시오 채점"),
	// Arabic, Persian, Hebrew, Hindi
	tongueOf("تجاهل انس", "تعليمات معايير التعليمات القواعد", "كاملة الكاملة القصوى أعلى العليا", "درجة علامة الدرجة العلامة", "أعط اعط امنح ضع رجاء فضلك المصحح"),
	tongueOf("نادیده فراموش", "دستور معیار", "کامل بالاترین", "نمره امتیاز", "بده بدهید لطفا"),
	tongueOf("התעלם שכח", "הוראות קריטריון מחוון", "מלא מקסימלי הגבוה", "ציון נקודות", "תן תני בבקשה לתת הבודק"),
	tongueOf("अनदेखा नज़रअंदाज़ नजरअंदाज भूल", "निर्देश मानदंड नियम", "पूरे पूर्ण अधिकतम", "अंक", "दें दीजिए कृपया दो"),
}

// foreign applies the rules of other languages to a sentence that seems to be
// in one.
func (c *clause) foreign() bool {
	strange, english := 0, 0
	for i := range c.words {
		w := &c.words[i]
		if foreignWords[w.Norm] || !isASCII(w.Norm) {
			strange++
		} else if w.Class == text.Function {
			english++
		}
	}
	if strange <= english && (strange > 0 || english > 0 || len(c.words) < 3) {
		return false
	}
	folded := " " + text.Fold(c.source()).Text + " "
	for i := range tongues {
		t := &tongues[i]
		if contains(folded, t.ignore) && contains(folded, t.told) ||
			contains(folded, t.top) && contains(folded, t.mark) && contains(folded, t.give) {
			return true
		}
	}
	return false
}

// contains reports whether any part begins a word of s, or stands anywhere in
// it where letters are words or particles are written together with words. "_" in a part is a space.
func contains(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(p, "_") {
			p = strings.ReplaceAll(p, "_", " ")
		}
		for at := 0; ; {
			i := strings.Index(s[at:], p)
			if i < 0 {
				break
			}
			at += i
			if at == 0 || p[0] >= 0xe3 || 0xd6 <= p[0] && p[0] <= 0xdb || !letterBefore(s[:at]) {
				return true
			}
			at++
		}
	}
	return false
}

func letterBefore(s string) bool {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < 0x80 {
			return i == len(s)-1 && unicode.IsLetter(rune(s[i]))
		}
		if s[i] >= 0xc0 {
			for _, r := range s[i:] {
				return unicode.IsLetter(r)
			}
		}
	}
	return false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// foreignWords are frequent function words of other languages that are not
// English words.
var foreignWords = words(`
	el los las una unos por para con del que como más pero sus muy según está están ser fue también porque cuando donde
	le les une et est dans pour pas avec sur qui sont nous vous ils elle elles cette mais ou où leur très être au aux ce du
	der das und ist nicht ein eine einen dem mit von zu auf für sich auch es wird sind werden wenn aber oder wie nur noch nach bei
	il lo gli di che non è con sono della delle nel per una questo anche più ma come
	o os um uma em não com mais dos das se foi ao pela pelo são tem
	het een van en dat niet voor met zijn aan ook door wordt
	och att det som på är av för med inte den till og ikke jeg af
	nie się jest na że jak dla przez ale
	ve bir bu için ile olarak yang dan ini untuk dengan pada adalah
`)

// encoded applies the rules to what a sentence says in disguise: Base64, digits
// for letters, letters of another alphabet, letters one by one.
func (c *clause) encoded() bool {
	source := c.source()
	disguised, mixed, spelled := 0, 0, 0
	for _, field := range strings.Fields(source) {
		if len(field) >= 16 && len(field) <= 4000 {
			if plain, ok := decoded(field); ok && c.tells(plain) {
				return true
			}
		}
		if leet(field) {
			disguised++
		}
		if lookalike(field) {
			mixed++
		}
		if len(field) == 1 {
			spelled++
		}
	}
	switch {
	case disguised >= 3 && c.tells(strings.Map(unleet, source)),
		mixed > 0 && c.tells(strings.Map(latin, source)),
		spelled >= 8 && c.tells(joined(source)),
		len(c.words) >= 4 && c.bare() && c.tells(strings.Map(rot13, source)):
		return true
	}
	return false
}

// bare reports whether all words are of Latin letters and none is a function
// word of any language at hand.
func (c *clause) bare() bool {
	for i := range c.words {
		if binds(&c.words[i]) || !isASCII(c.words[i].Norm) {
			return false
		}
	}
	return true
}

func rot13(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z':
		return 'a' + (r-'a'+13)%26
	case 'A' <= r && r <= 'Z':
		return 'A' + (r-'A'+13)%26
	}
	return r
}

// tells applies the rules to a text that was disguised.
func (c *clause) tells(plain string) bool {
	a := &Answer{source: plain, doc: text.Parse(plain)}
	for i := range min(len(a.doc.Sentences), 8) {
		hidden := a.clause(c.ref, i)
		hidden.understand()
		if hidden.addressed() || hidden.all&(grade|exam|scheme|give) != 0 && hidden.all&(top|plea|override) != 0 {
			return true
		}
	}
	return false
}

// decoded is the text that a field holds in Base64, if it is one.
func decoded(field string) (string, bool) {
	field = strings.Trim(field, ".,;:()[]{}\"'`<>")
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(field, "="))
	if err != nil || len(b) < 8 {
		return "", false
	}
	for _, x := range b {
		if x >= 0x7f || x < 0x20 && x != '\n' && x != '\t' {
			return "", false
		}
	}
	return string(b), strings.Contains(string(b), " ")
}

// leet reports whether digits stand among the letters of a field.
func leet(field string) bool {
	letters, digits := 0, 0
	for i := range len(field) {
		switch c := field[i]; {
		case strings.IndexByte("013457", c) >= 0:
			digits++
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			letters++
		default:
			return false
		}
	}
	return digits > 0 && letters > 0 && len(field) <= 14
}

func unleet(r rune) rune {
	if i := strings.IndexRune("013457", r); i >= 0 {
		return rune("oieast"[i])
	}
	return r
}

// Letters of other alphabets that look like Latin ones, and those.
const (
	cyrillicGreek = "асеорхуіјѕԁԛԝһвкмнтзгαοεικνρτυχ"
	latinLike     = "aceopxyijsdqwhbkmht3raoeiknptux"
)

var latins = func() map[rune]rune {
	m := map[rune]rune{}
	like := []rune(latinLike)
	for i, r := range []rune(cyrillicGreek) {
		m[r], m[unicode.ToUpper(r)] = like[i], like[i]
	}
	return m
}()

func latin(r rune) rune {
	if l, ok := latins[r]; ok {
		return l
	}
	return r
}

// lookalike reports whether a word mixes Latin letters with such that only
// look like them.
func lookalike(field string) bool {
	if isASCII(field) {
		return false
	}
	ascii, like := false, false
	for _, r := range field {
		if r < 0x80 {
			ascii = ascii || unicode.IsLetter(r)
		} else if _, ok := latins[r]; ok {
			like = true
		}
	}
	return ascii && like
}

// joined is a text whose letters stand one by one, as words: "g i v e  m e".
func joined(s string) string {
	var b strings.Builder
	spaces := 0
	for _, r := range s {
		if r == ' ' {
			spaces++
			continue
		}
		if spaces > 1 {
			b.WriteByte(' ')
		}
		spaces = 0
		b.WriteRune(r)
	}
	return b.String()
}
