"""The texts on which the references are asked, and the corpus the test vocabularies are learnt from."""

SCRIPTS = {
    "Latin": "All human beings are born free and equal in dignity and rights. They're endowed with reason.",
    "Greek": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. ΣΊΣΥΦΟΣ",
    "Cyrillic": "Все люди рождаются свободными и равными в своём достоинстве и правах. Ёлка, їжак, Ѯ.",
    "Armenian": "Բոլոր մարդիկ ծնվում են ազատ ու հավասար՝ իրենց արժանապատվությամբ ու իրավունքներով։",
    "Hebrew": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. שָׁלוֹם",
    "Arabic": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. ٠١٢٣٤ ﷺ",
    "Syriac": "ܟܠ ܒܪܢܫܐ ܒܪܝܠܗ ܚܐܪܐ ܘܒܪܒܪ ܓܘ ܐܝܩܪܐ ܘܙܕܩܐ",
    "Thaana": "ހުރިހާ އިންސާނުން ވެސް އުފަންވަނީ، ދަރަޖަ އާއި ޙައްޤު",
    "Devanagari": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है। क़ ०१२",
    "Bengali": "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।",
    "Gurmukhi": "ਸਾਰਾ ਮਨੁੱਖੀ ਪਰਿਵਾਰ ਆਪਣੀ ਮਹਿਮਾ, ਸ਼ਾਨ ਅਤੇ ਹੱਕਾਂ ਦੇ ਪੱਖੋਂ",
    "Gujarati": "પ્રતિષ્ઠા અને અધિકારોની દૃષ્ટિએ સર્વ માનવો જન્મથી સ્વતંત્ર અને સમાન હોય છે.",
    "Oriya": "ସମସ୍ତ ମନୁଷ୍ୟ ଜନ୍ମକାଳରୁ ସ୍ୱାଧୀନ ଏବଂ ମର୍ଯ୍ୟାଦା ଓ ଅଧିକାରରେ ସମାନ |",
    "Tamil": "மனிதப் பிறிவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்; ௧௨௩",
    "Telugu": "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు.",
    "Kannada": "ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಹುಟ್ಟಿದ್ದಾರೆ. ಹಾಗೂ ಘನತೆ ಹಾಗೂ ಹಕ್ಕುಗಳಲ್ಲಿ ಸಮಾನರಾಗಿದ್ದಾರೆ.",
    "Malayalam": "മനുഷ്യരെല്ലാവരും തുല്യാവകാശങ്ങളോടും അന്തസ്സോടും സ്വാതന്ത്ര്യത്തോടുംകൂടി",
    "Sinhala": "සියලු මනුෂ්‍යයෝ නිදහස්ව උපත ලබා ඇත. ගරුත්වයෙන් හා අයිතිවාසිකම්වලින් සමාන වෙති.",
    "Thai": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ๑๒๓",
    "Lao": "ມະນຸດທຸກຄົນເກີດມາມີກຽດສັກສີ, ສິດທິ, ເສລີພາບ ແລະ ຄວາມສະເໝີພາບເທົ່າທຽມກັນ.",
    "Tibetan": "འགྲོ་བ་མིའི་རིགས་རྒྱུད་ཡོངས་ལ་སྐྱེས་ཙམ་ཉིད་ནས་ཆེ་མཐོངས་དང༌། ཐོབ་ཐངགི་རང་དབང་འདྲ་མཉམ་དུ་ཡོད་ལ།",
    "Myanmar": "လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် လည်းကောင်း၊",
    "Georgian": "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით. ᲗᲑᲘᲚᲘᲡᲘ",
    "Hangul": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 한 각",
    "Ethiopic": "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው። ፩፪፫",
    "Cherokee": "ᏂᎦᏓ ᎠᏂᏴᏫ ᏂᎨᎫᏓᎸᎾ ᎠᎴ ᎤᏂᏠᏱ ᎤᎾᏕᎿ ᏚᏳᎧᏛ ᎨᏒᎢ. ꭰꮳꮃꭹ",
    "Canadian": "ᐃᓅᔪᓕᒫᑦ ᐊᓂᖅᑎᕆᔪᖃᕐᑐᑦ ᐃᓱᒪᕐᓱᕐᖢᑎᒃ ᐊᒻᒪᓗ ᐊᔾᔨᐅᖃᑎᒌᒃᖢᑎᒃ",
    "Mongolian": "ᠬᠦᠮᠦᠨ ᠪᠦᠷ ᠲᠥᠷᠥᠵᠦ ᠮᠡᠨᠳᠡᠯᠡᠬᠦ ᠡᠷᠬᠡ ᠴᠢᠯᠥᠭᠡ᠎ᠲᠡᠢ",
    "Khmer": "មនុស្សទាំងអស់ កើតមកមានសេរីភាព និងសមភាព ក្នុងផ្នែកសេចក្ដីថ្លៃថ្នូរនិងសិទ្ធិ។",
    "Han": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,並應以兄弟關係的精神相對待。𠮷野家 〇 ㊙",
    "Kana": "すべての人間は、生まれながらにして自由であり、ｶﾞｷﾞｸﾞ パピプ ㌔㍍ 尊厳と権利とについて平等である。",
    "Yi": "ꊿꂷꃅꄿꐨꐥ,ꌅꅍꀂꏽꐯꒈꃅꐥꌐ。",
    "Gothic": "𐌰𐌻𐌻𐌰𐌹 𐌼𐌰𐌽𐌽𐌰 𐍆𐍂𐌴𐌹𐌷𐌰𐌻𐍃 𐌾𐌰𐌷 𐍃𐌰𐌼𐌰𐌻𐌴𐌹𐌺𐍃 𐐔𐐇𐐝𐐀𐐡𐐇𐐓",
}

CODE = '''def fib(n):
    """Fibonacci, the slow way."""
    return n if n < 2 else fib(n - 1) + fib(n - 2)


if __name__ == "__main__":
\tfor i in range(0x1F, 1_000_000, 10**3):
\t\tprint(f"{i:>8}: {fib(i)!r}", end="\\r\\n")
// C++: std::vector<std::pair<int, char*>> v{{1, nullptr}}; x->y[3] = ~a ^ (b << 2) && !c;
<a href="https://example.org/?q=1&amp;r=%20#x">link</a> {{template}} $HOME/.bashrc @user #tag
'''

ENGLISH = """It's a truth universally acknowledged, that a single man in possession of a good fortune, must be in
want of a wife. "Don't you know?" they'd said; I'll go, we've gone, you're here -- HE'S GONE, IT'LL DO.
  The year 1984 had 365.25 days; 3,141,592,653 is pi times 10^9... e.g. 12:30pm, $5.00, 50% off!!!

CamelCaseWords, snake_case_words, ALLCAPS, MixedUP2023text, state-of-the-art, naïve café résumé coöperate.
"""

OTHERS = {
    "emoji": "👍 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ❤️ ☎︎ 1️⃣ 😀😃 🧑🏿‍🚀 \U0001FAE9\U0001F6D8",
    "combining": "e\u0301 a\u0308\u0323 q\u0307\u0323 \u0344\u0345x \u1E9B\u0323 A\u030A \u212B \u1100\u1161\u11A8 \u0958 "
                 "\u0F71\u0F72\u0F74 \u302A\u302B \u05B0\u05C1\u05BC Z" + "\u0300\u0316" * 20 + " \u0301leading",
    "compatibility": "ﬁ ﬀ ﬃ ½ ² ₂ ㎏ ㍿ ① Ⅳ ｆｕｌｌ ﷺ ﹏ … ℌ 𝒳 𝟘 ｡｢ ﾊﾟ \u00A0 \u2003 \u3000 İ ı ẞ ß Σς ǅ K Å \u017F's 'S 'ſ",
    "unassigned": "\u0378 \u0560 \u058B \u1AFF \u2E5D \u2E5E \uA7DA \uA7FA \U0001E6C0 \U0002FFFF \U000E0001 \U000E0080 \U00010D4A\U00010D4B",
    "new": "\U000105C0\U000105C1 \U00010D40\U00010D41 \U0001CCF0\U0001CCF9 \U00011BC0 \U00011BF0 \U00016D40\U00016D63 \U00013460 \u1C89\u1C8A "
           "\U00031350\U000323AF \U0002EBF0 \U00011F00\U00011F02 \U0001E4D0 \u0C5D \u0CDD \uA7CB \uA7DA\uA7DB \u2FFF \U000116D0",
    "controls": "a\x00b\x01c\x07d\x0be\x0cf\x1bg\x7fh\x85i\u200Bj\u200Ck\u200Dl\u2060m\uFEFFn\u00ADo\u202Ep\uFFFDq\uFFFFr\U0010FFFFs\uE000t",
    "spaces": " a  b   c    d\te\t\tf \t g\nh\n\ni\n \nj\r\nk\r\r\nl \u00A0m\u2028n\u2029o\u3000\u3000p\u1680q\u180Er\u205Fs  \n  \n ",
    "leading": "   leading and trailing   ",
    "blank": " ",
    "blanks": " \t\n \r\n ",
    "empty": "",
    "specials": "<s>a</s> <|endoftext|>b<pad><unk> [CLS] c [SEP][MASK][UNK] <|im_start|>user\nhi<|im_end|> <0x41><0x0A> ▁ ▁▁x Ġ Ċ ##y",
    "added": "use <tool> now,<tool>x  <strip>  y word words sword wordé word. WORD Word  keep  keep KEEP ｗord <Tool>",
    "quotes": "'s 'S ''s 're 'RE 'll d'd I'm I'M'm 'ſ ' n't do not 've can't ' x ' . , ! ?",
    "digits": "1 12 123 1234 12345 ١٢٣ ²³ ½ Ⅷ ௧ 𝟙𝟚 ㉈ 1a2b3c 3.14 1,000",
}

LONG = [["a", 50000], [" ", 50000], ["7", 50000], ["ab", 25000], ["\n", 50000], ["é", 20000], ["的", 20000],
        [".", 50000], ["\u0301", 20000], ["A", 50000], ["a ", 25000], ["\U0001F600", 10000], ["\U00031350", 5000]]


def texts():
    """(name, text), the same on any machine."""
    out = [("script " + name, text) for name, text in SCRIPTS.items()]
    out += [("english", ENGLISH), ("code", CODE)]
    out += list(OTHERS.items())
    out.append(("all scripts", " ".join(SCRIPTS.values())))
    out += [("%d times %r" % (count, unit), unit * count) for unit, count in LONG]
    return out


def corpus():
    """Lines to learn vocabularies from: most of the scripts, some of the rest left unknown."""
    lines = ENGLISH.splitlines() * 6 + CODE.splitlines() * 4
    lines += [text for name, text in SCRIPTS.items() if name not in ("Yi", "Gothic", "Tibetan", "Cherokee")] * 3
    lines += [OTHERS["emoji"], OTHERS["digits"], OTHERS["combining"]] * 2
    return lines


def write_texts(path):
    """For the test: each text as a unit and how often it is repeated."""
    import json

    short = [{"name": name, "unit": text, "count": 1} for name, text in texts()[:-len(LONG)]]
    long = [{"name": "%d times %r" % (count, unit), "unit": unit, "count": count} for unit, count in LONG]
    with open(path, "w") as file:
        json.dump(short + long, file, indent=0, ensure_ascii=True)
        file.write("\n")
