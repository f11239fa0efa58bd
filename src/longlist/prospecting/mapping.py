"""Which column of a file fills which prospect field: a suggestion, and the check of a caller's own.

A header is reduced to plain words (camelCase split, accents and punctuation gone). Words that say
whose value it is are taken off first: "Person Linkedin Url", "linkedinUrl" and "URL du profil
LinkedIn" are the same words then, and "Company Linkedin Url" the same words about a company. What
is left is looked up below, where the order within a field says which column is the better one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from longlist.errors import Issue

FIELDS: Final = (
    "firstName", "lastName", "name", "headline", "about", "photoUrl", "linkedinUrl",
    "publicIdentifier", "providerId", "title", "location", "email", "phone", "company.name",
    "company.linkedinIdentifier", "company.linkedinUrl", "company.industry", "company.website",
    "company.domain", "company.size",
)  # fmt: skip

IDENTITY_FIELDS: Final = frozenset({"providerId", "publicIdentifier", "linkedinUrl", "email"})
_NAME_FIELDS: Final = frozenset({"name", "firstName", "lastName"})


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_PERSON_WORDS: Final = _set(
    "person contact lead prospect member candidate recipient kontakt kontaktperson"
    " ansprechpartner personne interlocuteur persona contacto"
)
_COMPANY_WORDS: Final = _set(
    "company companys organization organisation employer account firm corporate corporation"
    " firma unternehmen unternehmens arbeitgeber entreprise societe employeur empresa compania"
    " organizacion"
)
_FILLER_WORDS: Final = _set(
    "current actual aktuelle aktueller aktuelles actuelle actuel the of de des del la le l el du"
    " d der die das your primary main"
)

# Words about a person, best first. A field may be named by words that fit another one as well; the
# values decide then.
_PERSON: Final[dict[str, tuple[str, ...]]] = {
    "firstName": (
        "first name", "firstname", "given name", "forename", "vorname", "rufname", "prenom",
        "primer nombre", "nombre pila", "nombres", "nombre", "first",
    ),
    "lastName": (
        "last name", "lastname", "surname", "family name", "nachname", "familienname", "zuname",
        "nom famille", "nom usage", "apellidos", "apellido", "last",
    ),
    "name": (
        "full name", "fullname", "name", "display name", "vollstandiger name", "voller name",
        "name vollstandig", "vor und nachname", "vorname und nachname", "nom complet",
        "prenom et nom", "nom prenom", "nom", "nombre completo", "nombre y apellidos",
        "first name last name", "person name", "profile name", "",
    ),
    "headline": (
        "headline", "linkedin headline", "profile headline", "linkedin profile headline",
        "profil slogan", "titre profil", "titular", "title description", "tagline",
    ),
    "about": (
        "about", "summary", "linkedin summary", "profile summary", "bio", "biography", "about me",
        "linkedin bio", "description", "uber mich", "a propos", "resume", "acerca", "resumen",
    ),
    "photoUrl": (
        "photo url", "photo", "picture", "picture url", "profile picture", "profile picture url",
        "profile photo", "profile photo url", "profile image", "profile image url", "avatar",
        "avatar url", "image url", "img url", "image", "headshot", "foto", "profilbild", "bild",
        "bild url", "photo profil", "foto perfil",
    ),
    "linkedinUrl": (
        "linkedin url public", "public linkedin url", "linkedin profile url", "linkedin url",
        "linkedin profile", "linkedin link", "linkedin profile link", "linkedin public url",
        "linkedin public profile url", "public profile url", "default profile url", "linkedin",
        "linkedin adresse", "linkedin profil", "linkedin profil url", "url profil linkedin",
        "profil linkedin", "url linkedin", "lien linkedin", "perfil linkedin", "enlace linkedin",
        "url perfil linkedin", "linkedin profile address", "linkedin account", "li url",
        "profile url", "profile link", "profile", "profil url", "profil", "perfil", "url perfil",
        "url profil", "linkedin bio link", "hs linkedin url", "linkedin contact profile url",
        "linkedin url unique id", "linkedin id url", "sales navigator url",
        "linkedin sales navigator url", "sales navigator profile url", "sales nav url",
        "sales navigator profile", "url", "link",
    ),
    "publicIdentifier": (
        "public identifier", "public id", "linkedin public identifier", "linkedin public id",
        "linkedin slug", "linkedin username", "linkedin handle", "linkedin vanity name",
        "vanity name", "profile slug", "linkedin profile slug", "linkedin identifier", "linkedin",
    ),
    "providerId": ("provider id", "linkedin provider id"),
    "title": (
        "title", "job title", "jobtitle", "job", "position", "job position", "linkedin job title",
        "role", "job role", "occupation", "designation", "position title", "title role",
        "berufsbezeichnung", "jobtitel", "stellenbezeichnung", "funktion", "rolle", "beruf",
        "titel", "poste", "fonction", "intitule poste", "titre poste", "titre", "profession",
        "cargo", "puesto", "puesto trabajo", "titulo", "funcion",
    ),
    "location": (
        "location", "linkedin location", "geo region", "geography", "standort", "localisation",
        "lieu", "ubicacion", "localizacion", "location name", "city state country", "city country",
        "city state", "region", "city", "ort", "wohnort", "stadt", "ville", "ciudad", "localidad",
        "state", "state region", "bundesland", "estado", "provincia", "country", "country region",
        "land", "pays", "pais",
    ),
    "email": (
        "work email", "work email address", "business email", "business email address",
        "professional email", "email professionnel", "email pro", "geschaftliche email",
        "email geschaftlich", "email trabajo", "email profesional", "correo profesional",
        "email", "email address", "emailaddress", "mail", "mail address", "mailadresse",
        "emailadresse", "email adresse", "adresse email", "adresse mail", "adresse courriel",
        "courriel", "correo", "correo electronico", "direccion correo", "direccion email",
        "verified email", "enriched email", "found email", "final email", "email 1",
        "work emails", "emails", "secondary email", "email 2", "other email", "tertiary email",
        "private email", "personal email", "personal email address", "email personnel",
        "email privat", "private email address", "correo personal",
    ),
    "phone": (
        "phone", "phone number", "phonenumber", "telephone", "telephone number", "tel",
        "telefon", "telefonnummer", "telefono", "numero telephone", "numero telefono", "telf",
        "direct phone", "direct phone number", "direct dial", "work direct phone", "direct number",
        "mobile", "mobile phone", "mobile phone number", "mobile number", "cell", "cell phone",
        "handy", "handynummer", "mobil", "mobilnummer", "mobiltelefon", "portable", "mobile 1",
        "telephone portable", "movil", "celular", "telefono movil", "work phone", "work number",
        "business phone", "phone 1", "phone number 1", "phones", "phone numbers",
        "mobile phone 1", "home phone", "other phone", "durchwahl", "rufnummer", "whatsapp",
    ),
    "company.industry": (
        "industry", "linkedin industry", "branche", "industrie", "secteur", "secteur activite",
        "sector", "sector actividad", "industria",
    ),
    "company.website": (
        "website", "website url", "web site", "webseite", "internetseite", "homepage", "site web",
        "site internet", "sitio web", "pagina web", "site", "web", "domain", "url",
    ),
    "company.domain": (
        "domain", "domain name", "email domain", "domaine", "dominio", "website domain",
        "web domain",
    ),
    "company.size": (
        "employees", "employee count", "number employees", "num employees", "no employees",
        "headcount", "employee range", "employees range", "employee size", "staff count",
        "linkedin employees", "mitarbeiter", "mitarbeiterzahl", "anzahl mitarbeiter",
        "mitarbeiteranzahl", "unternehmensgrosse", "firmengrosse", "effectif", "effectifs",
        "nombre employes", "nombre salaries", "numero empleados", "empleados",
    ),
    "company.name": (
        "unternehmensname", "firmenname", "firmenbezeichnung", "arbeitgebername", "business name",
        "business", "employer name", "razon social", "raison sociale",
    ),
}  # fmt: skip

# Words about a company, once the company word itself is taken off.
_COMPANY: Final[dict[str, tuple[str, ...]]] = {
    "company.name": (
        "", "name", "nom", "nombre", "full name", "legal name", "cleaned name", "name cleaned",
        "clean name", "normalized name", "name for emails", "associated",
    ),
    "company.linkedinIdentifier": (
        "linkedin identifier", "linkedin id", "linkedin slug", "linkedin public id",
        "linkedin universal name", "universal name", "linkedin vanity name", "linkedin handle",
        "linkedin",
    ),
    "company.linkedinUrl": (
        "linkedin url", "linkedin", "linkedin profile", "linkedin profile url", "linkedin page",
        "linkedin page url", "linkedin link", "url linkedin", "page linkedin", "profile url",
        "linkedin profil", "linkedin url unique id", "linkedin id url", "regular url",
        "sales navigator url", "url", "",
    ),
    "company.industry": (
        "industry", "linkedin industry", "industries", "branche", "industrie", "secteur",
        "secteur activite", "sector", "industria", "industry name",
    ),
    "company.website": (
        "website", "website url", "web site", "web", "url", "webseite", "homepage", "site web",
        "site internet", "site", "sitio web", "pagina web", "web url", "internetseite", "domain",
    ),
    "company.domain": (
        "domain", "domain name", "website domain", "email domain", "web domain", "domaine",
        "dominio", "website",
    ),
    "company.size": (
        "size", "size range", "employee range", "employees range", "employee count range",
        "headcount range", "staff range", "employees", "employee count", "employee exact count",
        "employees count", "number employees", "num employees", "no employees", "headcount",
        "staff count", "staff", "mitarbeiter", "mitarbeiterzahl", "grosse", "effectif", "taille",
        "nombre employes", "tamano", "numero empleados", "empleados", "linkedin employees",
        "linkedin employee count",
    ),
}  # fmt: skip


class _Candidate(NamedTuple):
    """A field a column may fill; the lower `rank` is the better column for it."""

    rank: int
    field: str


def _index(table: Mapping[str, Sequence[str]]) -> dict[str, tuple[_Candidate, ...]]:
    found: dict[str, list[_Candidate]] = {}
    for field, names in table.items():
        # "Website" may be a person's own where there is a "Company Website" beside it.
        base = 100 if table is _PERSON and field.startswith("company.") else 0
        for rank, name in enumerate(names, base):
            found.setdefault(name, []).append(_Candidate(rank, field))
    return {name: tuple(sorted(candidates)) for name, candidates in found.items()}


_BY_PERSON_WORDS: Final = _index(_PERSON)
_BY_COMPANY_WORDS: Final = _index(_COMPANY)
# The contract's own names win over everything else, so that an export comes back as it left.
_BY_OWN_NAME: Final = {name.casefold(): (_Candidate(-1, name),) for name in FIELDS}

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z])(?=\d)")
_NOT_WORD: Final = re.compile(r"[^a-z0-9]+")
_BRANDS: Final = (("LinkedIn", "Linkedin"), ("linkedIn", "linkedin"), ("E-Mail", "Email"))


def words(header: str) -> list[str]:
    """The plain words of a column name: "Person LinkedIn URL" and "personLinkedinUrl" are one."""
    for spelling, plain in _BRANDS:
        header = header.replace(spelling, plain)
    header = _CAMEL.sub(" ", header).casefold()
    header = re.sub(r"\be[\s_-]mails?\b", "email", header.replace("\u00df", "ss"))
    plain = unicodedata.normalize("NFKD", header)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return _NOT_WORD.sub(" ", plain).split()


def is_known(header: str) -> bool:
    """Whether the name alone tells a prospect field, whatever the values are."""
    return bool(_candidates(header))


def _candidates(header: str) -> tuple[_Candidate, ...]:
    own = _BY_OWN_NAME.get(header.strip().casefold())
    if own is not None:
        return own
    found = words(header)
    plain = " ".join(found)
    if plain and plain in _BY_PERSON_WORDS:
        return _BY_PERSON_WORDS[plain]
    base = " ".join(w for w in found if w not in _COMPANY_WORDS and w not in _FILLER_WORDS)
    if any(word in _COMPANY_WORDS for word in found):
        return _BY_COMPANY_WORDS.get(base, ())
    if not base:
        return ()
    base = " ".join(w for w in found if w not in _PERSON_WORDS and w not in _FILLER_WORDS)
    return _BY_PERSON_WORDS.get(base, ())


def suggest(
    columns: Sequence[str], preview: Sequence[Mapping[str, str | None]]
) -> dict[str, str | None]:
    """A field or None for every column; no field is given twice.

    The better name wins; a column whose values in the preview plainly are something else loses,
    as do links to a Sales Navigator lead where there is a public profile beside them.
    """
    values = {name: [v[:_SEEN] for row in preview if (v := row.get(name))] for name in columns}
    offers: list[tuple[int, int, str, str]] = []
    for place, (column, candidates) in enumerate(_name_parts(columns, values).items()):
        for rank, field in candidates:
            if _fits(field, values[column]):
                behind = field == "linkedinUrl" and any("/sales/" in v for v in values[column])
                offers.append((rank + 100 * behind, place, column, field))
    suggestion: dict[str, str | None] = dict.fromkeys(columns)
    taken: set[str] = set()
    for _, _, column, field in sorted(offers):
        if suggestion[column] is None and field not in taken:
            suggestion[column] = field
            taken.add(field)
    _drop_needless_slug(suggestion)
    return suggestion


def _drop_needless_slug(suggestion: dict[str, str | None]) -> None:
    """Leave a slug out beside a profile URL: it says the same, and a row fails where they differ.

    Longlist's own column of that name stays, as the two agree in an export.
    """
    if "linkedinUrl" in suggestion.values():
        for column, field in suggestion.items():
            if field == "publicIdentifier" and column.casefold() != "publicidentifier":
                suggestion[column] = None


def _name_parts(
    columns: Sequence[str], values: Mapping[str, Sequence[str]]
) -> dict[str, tuple[_Candidate, ...]]:
    """The candidates of every column, where names of a whole may be names of a part.

    "Nom" beside "Prénom" and "Name" beside "Vorname" are family names, unless their values hold
    the first names; "Nombre" without "Apellidos" is a full name.
    """
    plain = {column: " ".join(words(column)) for column in columns}
    offers = {column: _candidates(column) for column in columns}
    has_last = any(name in _PERSON["lastName"] for name in plain.values())
    first = next(
        (c for c, found in offers.items() if any(o.field == "firstName" for o in found)), None
    )
    for column, name in plain.items():
        if has_last:
            break
        if name in ("nom", "name") and first and not _contain(values[column], values[first]):
            offers[column] = (_Candidate(0, "lastName"),)
        elif name == "nombre":
            offers[column] = (_Candidate(0, "name"),)
    return offers


def _contain(whole: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the values of one column hold those of another, as a full name holds the first."""
    pairs = list(zip(whole, parts, strict=False))
    return bool(pairs) and sum(p.casefold() in w.casefold() for w, p in pairs) * 2 > len(pairs)


# Values are judged by their beginning, which bounds the work on hostile ones.
_SEEN: Final = 200
_PHONE_DIGITS: Final = 5
_SIZE_CHARACTERS: Final = 64
_HAS_SCHEME: Final = re.compile(r"(?i)https?://|www\.|linkedin\.com/")
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_COMPANY_PAGE: Final = re.compile(r"(?i)linkedin\.com/(sales/)?(company|school|showcase|accounts)")
_PROFILE: Final = re.compile(r"(?i)(linkedin\.com/|^/?)(\w+/)?(in|pub|sales|profile|recruiter)/")
_HOST: Final = re.compile(r"(?i)([a-z]+://)?[^\s@/]+\.[^\s@/.]{2,}([/?#:]\S*)?")
_BARE_DOMAIN: Final = re.compile(r"[^\s@/:]+\.[^\s@/:.]{2,}")
_SALUTATIONS: Final = _set(
    "mr mrs ms miss mx sir dr prof herr frau m mme mlle monsieur madame sr sra srta don"
    " dona dipl ing mag ba ma phd mba"
)


def _is_link(value: str) -> bool:
    return bool(_HAS_SCHEME.search(value)) or bool(_EMAIL.fullmatch(value.strip()))


def _is_words(value: str) -> bool:
    return not _is_link(value)


def _is_title(value: str) -> bool:
    parts = re.split(r"[\s.]+", value.casefold().strip(" ."))
    return not _is_link(value) and not all(part in _SALUTATIONS for part in parts)


def _is_phone(value: str) -> bool:
    digits = sum(char.isdigit() for char in value)
    return digits >= _PHONE_DIGITS and sum(char.isalpha() for char in value) <= digits


def _is_slug(value: str) -> bool:
    return not re.search(r"[\s@/:]", value.strip())


def _is_profile(value: str) -> bool:
    return bool(_PROFILE.search(value)) and not _COMPANY_PAGE.search(value)


def _is_website(value: str) -> bool:
    return bool(_HOST.fullmatch(value.strip())) and "linkedin.com/" not in value.casefold()


_LOOKS_RIGHT: Final[dict[str, Callable[[str], bool]]] = {
    "email": lambda value: "@" in value,
    "phone": _is_phone,
    "linkedinUrl": _is_profile,
    "publicIdentifier": _is_slug,
    "providerId": _is_slug,
    "photoUrl": lambda value: bool(_HAS_SCHEME.search(value)),
    "title": _is_title,
    "about": lambda value: True,
    "company.linkedinUrl": lambda value: bool(_COMPANY_PAGE.search(value)),
    "company.linkedinIdentifier": _is_slug,
    "company.website": _is_website,
    "company.domain": lambda value: bool(_BARE_DOMAIN.fullmatch(value.strip())),
    "company.size": lambda value: _is_words(value) and len(value) <= _SIZE_CHARACTERS,
}


def _fits(field: str, values: Sequence[str]) -> bool:
    """Whether at least half of the values look right; a column without values contradicts none."""
    looks_right = _LOOKS_RIGHT.get(field, _is_words)
    return 2 * sum(map(looks_right, values)) >= len(values)


def check(mapping: Mapping[str, str | None], columns: Sequence[str]) -> list[Issue]:
    """What is wrong with a caller's mapping (422 `MAPPING_INVALID`); empty if nothing is."""
    issues: list[Issue] = []
    known, used = set(columns), set[str]()
    for column, field in mapping.items():
        path = f"mapping.{_printable(column)}"
        if column not in known:
            issues.append(Issue(path, "unknown_column", "The file has no column of this name."))
        elif field is None:
            continue
        elif field not in FIELDS:
            issues.append(Issue(path, "invalid_choice", "There is no prospect field of this name."))
        elif field in used:
            issues.append(Issue(path, "taken", "Another column fills this field already."))
        else:
            used.add(field)
    if not (used & IDENTITY_FIELDS or (used & _NAME_FIELDS and "company.name" in used)):
        issues.append(
            Issue(
                "mapping",
                "required",
                "Map a column to linkedinUrl, email, publicIdentifier or providerId, or one to a"
                " name and another to company.name.",
            )
        )
    return issues


def _printable(name: Iterable[str]) -> str:
    return "".join(char for char in name if char.isprintable())[:64]
