"""Plausible names for the embedded portal's people, companies and departments; all invented.

Several scripts on purpose: a client that assumes one byte per character, or one alphabet, should notice.
"""

from __future__ import annotations

FIRST = (
    "Adam", "Agnès", "Alice", "Amir", "Anna", "António", "Astrid", "Bartosz", "Beatriz", "Camille", "Chen", "Clara",
    "Daniel", "Daria", "Dilnoza", "Elena", "Emil", "Eva", "Farid", "Fiona", "Gabriel", "Greta", "Hana", "Hugo", "Ida",
    "Igor", "Irina", "Jakub", "Jana", "João", "Karim", "Katya", "Lars", "Leila", "Lucía", "Marek", "Marta", "Mehmet",
    "Mila", "Nadia", "Nikola", "Nora", "Olga", "Oskar", "Pavel", "Petra", "Rafael", "Rosa", "Samir", "Sofia", "Søren",
    "Tamara", "Tomás", "Ulrike", "Vera", "Viktor", "Wei", "Yusuf", "Zoë", "Анна", "Дмитрий", "Мария", "Сергей",
    "Айгерим",
)  # fmt: skip

LAST = (
    "Abe", "Almeida", "Andersen", "Baker", "Becker", "Bianchi", "Brandt", "Castro", "Çelik", "Cohen", "Costa", "Dahl",
    "Dubois", "Eriksen", "Farkas", "Fischer", "García", "Grant", "Haddad", "Hansen", "Horvat", "Ito", "Jansen", "Kaya",
    "Keller", "Kim", "Klein", "Kovač", "Larsen", "Lee", "Lehtinen", "Lopes", "Marin", "Meyer", "Moreau", "Müller",
    "Nagy", "Novák", "O'Brien", "Okafor", "Olsen", "Park", "Peeters", "Petrov", "Popescu", "Rossi", "Sánchez",
    "Schmidt", "Silva", "Smith", "Sokol", "Suzuki", "Tanaka", "Török", "Varga", "Vogel", "Weber", "Wójcik", "Young",
    "Zimmermann", "Ермак", "Ким", "Коваленко", "Цой",
)  # fmt: skip

COMPANY = (
    "Alder", "Amber", "Anchor", "Apex", "Aurora", "Beacon", "Birch", "Blue Harbour", "Bridge", "Cedar", "Compass",
    "Copper", "Delta", "Eastgate", "Falcon", "Fern", "Granite", "Greenfield", "Harvest", "Ironwood", "Juniper",
    "Kestrel", "Lakeside", "Lantern", "Maple", "Meridian", "Northway", "Oakridge", "Orion", "Pine Hill", "Quarry",
    "Redstone", "River", "Saffron", "Silverline", "Summit", "Tidewater", "Vista", "Westport", "Willow", "Вектор",
    "Восток", "Горизонт", "Маяк", "Ромашка", "Сатурн", "Север", "Янтарь",
)  # fmt: skip

TRADE = (
    "Bakery", "Builders", "Clinic", "Consulting", "Design", "Electric", "Engineering", "Foods", "Freight", "Furniture",
    "Garage", "Hotels", "Insurance", "Labs", "Legal", "Logistics", "Machines", "Media", "Motors", "Optics",
    "Packaging", "Paints", "Pharma", "Plastics", "Print", "Properties", "Security", "Software", "Steel", "Supplies",
    "Textiles", "Tools", "Travel", "Trading & Co.",
)  # fmt: skip

DEPARTMENT = ("Sales", "Key accounts", "Partners", "Service", "Regions", "Online")
