"""Suggested mappings for the headers people really have, and the check of a caller's mapping."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from longlist.prospecting import inspection, mapping
from longlist.prospecting.csv_header import OWN_HEADER

EXAMPLES = Path(__file__).parents[2] / "examples"

# The header row, then what is suggested for those of its columns that get a field.
HEADERS: dict[str, tuple[str, dict[str, str]]] = {
    "LinkedIn connections": (
        "First Name,Last Name,URL,Email Address,Company,Position,Connected On",
        {
            "First Name": "firstName",
            "Last Name": "lastName",
            "URL": "linkedinUrl",
            "Email Address": "email",
            "Company": "company.name",
            "Position": "title",
        },
    ),
    "Apollo": (
        "First Name,Last Name,Title,Company,Company Name for Emails,Email,Email Status,"
        "Contact Owner,Work Direct Phone,Home Phone,Mobile Phone,Corporate Phone,# Employees,"
        "Industry,Keywords,Person Linkedin Url,Website,Company Linkedin Url,Facebook Url,City,"
        "State,Country,Company City,Company Phone,Annual Revenue,Apollo Contact Id,Secondary Email",
        {
            "First Name": "firstName",
            "Last Name": "lastName",
            "Title": "title",
            "Company": "company.name",
            "Email": "email",
            "Work Direct Phone": "phone",
            "# Employees": "company.size",
            "Industry": "company.industry",
            "Person Linkedin Url": "linkedinUrl",
            "Website": "company.website",
            "Company Linkedin Url": "company.linkedinUrl",
            "City": "location",
        },
    ),
    "HubSpot": (
        "Record ID,First Name,Last Name,Email,Phone Number,Contact owner,Associated Company,"
        "Company Name,Job Title,LinkedIn URL,City,Country/Region,Website URL,Lead Status,Industry,"
        "Number of Employees,Associated Company IDs",
        {
            "First Name": "firstName",
            "Last Name": "lastName",
            "Email": "email",
            "Phone Number": "phone",
            "Company Name": "company.name",
            "Job Title": "title",
            "LinkedIn URL": "linkedinUrl",
            "City": "location",
            "Website URL": "company.website",
            "Industry": "company.industry",
            "Number of Employees": "company.size",
        },
    ),
    "lemlist": (
        "email,firstName,lastName,companyName,phone,linkedinUrl,picture,icebreaker,jobTitle,"
        "companyDomain",
        {
            "email": "email",
            "firstName": "firstName",
            "lastName": "lastName",
            "companyName": "company.name",
            "phone": "phone",
            "linkedinUrl": "linkedinUrl",
            "picture": "photoUrl",
            "jobTitle": "title",
            "companyDomain": "company.domain",
        },
    ),
    "Clay": (
        "Full Name,Job Title,Location,Company Domain,LinkedIn Profile,Personal Email,Work Email",
        {
            "Full Name": "name",
            "Job Title": "title",
            "Location": "location",
            "Company Domain": "company.domain",
            "LinkedIn Profile": "linkedinUrl",
            "Work Email": "email",
        },
    ),
    "Wiza": (
        "email,email_status,full_name,title,linkedin_profile_url,company,company_domain,"
        "company_industry,company_size_range,company_linkedin,mobile_phone1",
        {
            "email": "email",
            "full_name": "name",
            "title": "title",
            "linkedin_profile_url": "linkedinUrl",
            "company": "company.name",
            "company_domain": "company.domain",
            "company_industry": "company.industry",
            "company_size_range": "company.size",
            "company_linkedin": "company.linkedinUrl",
            "mobile_phone1": "phone",
        },
    ),
    "PhantomBuster": (
        "headline,fullName,company,companyUrl,jobTitle,location,imgUrl,linkedinProfileUrl,mail,"
        "linkedinProfileSlug,vmid,timestamp",
        {
            "headline": "headline",
            "fullName": "name",
            "company": "company.name",
            "companyUrl": "company.website",
            "jobTitle": "title",
            "location": "location",
            "imgUrl": "photoUrl",
            "linkedinProfileUrl": "linkedinUrl",
            "mail": "email",
        },
    ),
    "Evaboot": (
        "First Name,Last Name,Email,Email Status,Current Job,Linkedin URL Unique ID,"
        "Linkedin URL Public,Sales Navigator URL,Profile Headline,Profile Summary,Location,"
        "Company Name,Company Domain,Company Website,Company Linkedin URL,Company Employee Range,"
        "Company Industry,Company Location,Matches Filters,No Match Reasons",
        {
            "First Name": "firstName",
            "Last Name": "lastName",
            "Email": "email",
            "Current Job": "title",
            "Linkedin URL Public": "linkedinUrl",
            "Profile Headline": "headline",
            "Profile Summary": "about",
            "Location": "location",
            "Company Name": "company.name",
            "Company Domain": "company.domain",
            "Company Website": "company.website",
            "Company Linkedin URL": "company.linkedinUrl",
            "Company Employee Range": "company.size",
            "Company Industry": "company.industry",
        },
    ),
    "Lusha": (
        "Full Name,Job Title,Company Name,Company Website,Private Email,Work Email,Direct Phone,"
        "Mobile Phone,Contact LinkedIn URL,Company LinkedIn URL,Company Number of Employees",
        {
            "Full Name": "name",
            "Job Title": "title",
            "Company Name": "company.name",
            "Company Website": "company.website",
            "Work Email": "email",
            "Direct Phone": "phone",
            "Contact LinkedIn URL": "linkedinUrl",
            "Company LinkedIn URL": "company.linkedinUrl",
            "Company Number of Employees": "company.size",
        },
    ),
    "a prospect search export": (
        "Prospect Sales Navigator URL,Prospect Linkedin URL,First Name,Last Name,"
        "Prospect Position,Prospect Location,Company Name,Company Employee Range,"
        "Prospect Profile Picture,Prospect is Premium",
        {
            "Prospect Linkedin URL": "linkedinUrl",
            "First Name": "firstName",
            "Last Name": "lastName",
            "Prospect Position": "title",
            "Prospect Location": "location",
            "Company Name": "company.name",
            "Company Employee Range": "company.size",
            "Prospect Profile Picture": "photoUrl",
        },
    ),
    "a German sheet": (
        "Anrede,Vorname,Name,Firma,E-Mail,Telefon,Mobil,Straße,PLZ,Ort,Webseite,Branche",
        {
            "Vorname": "firstName",
            "Name": "lastName",
            "Firma": "company.name",
            "E-Mail": "email",
            "Telefon": "phone",
            "Ort": "location",
            "Webseite": "company.website",
            "Branche": "company.industry",
        },
    ),
    "another German sheet": (
        "Ansprechpartner,Firmenname,E-Mail-Adresse,Position,LinkedIn-Profil,Mitarbeiterzahl",
        {
            "Ansprechpartner": "name",
            "Firmenname": "company.name",
            "E-Mail-Adresse": "email",
            "Position": "title",
            "LinkedIn-Profil": "linkedinUrl",
            "Mitarbeiterzahl": "company.size",
        },
    ),
    "a French sheet": (
        "Civilité,Prénom,Nom,Fonction,Entreprise,Adresse e-mail,Téléphone,Ville,Profil LinkedIn,"
        "Site web de l'entreprise,Secteur d'activité,Nombre d'employés",
        {
            "Prénom": "firstName",
            "Nom": "lastName",
            "Fonction": "title",
            "Entreprise": "company.name",
            "Adresse e-mail": "email",
            "Téléphone": "phone",
            "Ville": "location",
            "Profil LinkedIn": "linkedinUrl",
            "Site web de l'entreprise": "company.website",
            "Secteur d'activité": "company.industry",
            "Nombre d'employés": "company.size",
        },
    ),
    "a Spanish sheet": (
        "Nombre,Apellidos,Nombre de la empresa,Cargo,Correo electrónico,Teléfono,Ciudad,"
        "Perfil de LinkedIn,Sitio web",
        {
            "Nombre": "firstName",
            "Apellidos": "lastName",
            "Nombre de la empresa": "company.name",
            "Cargo": "title",
            "Correo electrónico": "email",
            "Teléfono": "phone",
            "Ciudad": "location",
            "Perfil de LinkedIn": "linkedinUrl",
            "Sitio web": "company.website",
        },
    ),
    "one Spanish name": ("Nombre,Empresa", {"Nombre": "name", "Empresa": "company.name"}),
    "one French name": ("Nom,Entreprise", {"Nom": "name", "Entreprise": "company.name"}),
    "nothing we know": ("Party,Twitter,Bioguide Id,,Notes", {}),
}


@pytest.mark.parametrize("case", HEADERS)
def test_suggests_for_real_headers(case: str) -> None:
    header, expected = HEADERS[case]
    columns = header.split(",")
    suggestion = mapping.suggest(columns, [])
    assert list(suggestion) == columns
    assert {column: field for column, field in suggestion.items() if field} == expected


def test_own_export_maps_every_field_to_itself() -> None:
    suggestion = mapping.suggest(OWN_HEADER, [])
    assert suggestion == {
        name: None if name in ("id", "createdAt", "updatedAt") else name for name in OWN_HEADER
    }
    assert {field for field in suggestion.values() if field} == set(mapping.FIELDS)


def test_example_file() -> None:
    found = inspection.inspect(EXAMPLES / "legislators.csv")
    assert mapping.suggest(found.columns, found.preview) == {
        "First Name": "firstName",
        "Last Name": "lastName",
        "Full Name": "name",
        "Title": "title",
        "Company": "company.name",
        "Website": None,
        "Company Website": "company.website",
        "Phone": "phone",
        "Address": None,
        "State": "location",
        "Party": None,
        "Twitter": None,
        "Bioguide Id": None,
    }
    with (EXAMPLES / "legislators.csv").open(newline="", encoding="utf-8") as file:
        assert found.row_estimate == sum(1 for _ in csv.reader(file)) - 1


@pytest.mark.parametrize(
    ("column", "value", "field"),
    [
        ("LinkedIn", "https://www.linkedin.com/in/ann-lee", "linkedinUrl"),
        ("LinkedIn", "ann-lee", "publicIdentifier"),
        ("LinkedIn", "https://www.linkedin.com/company/acme", None),
        ("URL", "https://acme.example/team", "company.website"),
        ("URL", "https://www.linkedin.com/in/ann-lee", "linkedinUrl"),
        ("Company URL", "https://www.linkedin.com/sales/company/123", "company.linkedinUrl"),
        ("Company URL", "https://acme.example", "company.website"),
        ("Company Website", "acme.example", "company.website"),
        ("Domain", "https://acme.example", "company.website"),
        ("Domain", "acme.example", "company.domain"),
        ("Email", "see notes", None),
        ("Email", "ann@acme.example", "email"),
        ("Phone", "n/a", None),
        ("Phone", "+49 30 123456", "phone"),
        ("Titel", "Dr.", None),
        ("Titel", "Leiterin Einkauf", "title"),
        ("Company", "https://www.linkedin.com/company/acme", "company.linkedinUrl"),
    ],
)
def test_values_that_contradict_the_name_win(column: str, value: str, field: str | None) -> None:
    assert mapping.suggest([column], [{column: value}]) == {column: field}


def test_public_profile_before_sales_navigator_link() -> None:
    columns = ["LinkedIn URL", "Profile URL"]
    row = {
        "LinkedIn URL": "https://www.linkedin.com/sales/lead/ACwAAA,NAME_SEARCH,x",
        "Profile URL": "https://www.linkedin.com/in/ann-lee",
    }
    assert mapping.suggest(columns, [row]) == {"LinkedIn URL": None, "Profile URL": "linkedinUrl"}


def test_name_beside_first_name_is_told_by_its_values() -> None:
    columns = ["Vorname", "Name"]
    family = mapping.suggest(columns, [{"Vorname": "Ann", "Name": "Lee"}])
    whole = mapping.suggest(columns, [{"Vorname": "Ann", "Name": "Ann Lee"}])
    assert (family["Name"], whole["Name"]) == ("lastName", "name")


COLUMNS = ["Email", "Company", "Name", "x" * 100 + "\n"]


@pytest.mark.parametrize(
    ("given", "issues"),
    [
        ({"Email": "email"}, []),
        ({"Name": "name", "Company": "company.name"}, []),
        ({"Name": "lastName", "Company": "company.name", "Email": None}, []),
        ({}, [("mapping", "required")]),
        ({"Email": None}, [("mapping", "required")]),
        ({"Name": "name"}, [("mapping", "required")]),
        ({"Company": "company.name"}, [("mapping", "required")]),
        ({"Mail": "email"}, [("mapping.Mail", "unknown_column"), ("mapping", "required")]),
        ({"Email": "email", "Nope": None}, [("mapping.Nope", "unknown_column")]),
        ({"Email": "email", "Name": "id"}, [("mapping.Name", "invalid_choice")]),
        ({"Email": "email", "Name": "company"}, [("mapping.Name", "invalid_choice")]),
        ({"Email": "email", "Name": "email"}, [("mapping.Name", "taken")]),
        ({"Email": "email", COLUMNS[3]: "nope"}, [("mapping." + "x" * 64, "invalid_choice")]),
    ],
)
def test_check(given: dict[str, str | None], issues: list[tuple[str, str]]) -> None:
    found = mapping.check(given, COLUMNS)
    assert [(issue.field, issue.code) for issue in found] == issues
    assert all(issue.message for issue in found)
