package dataset_test

// The names are common ones in Argentina, written down from general knowledge; the
// first of each list are the most frequent. Together they have what a name may
// have: accents and ñ, apostrophes, hyphens, particles, several words.

// givenNames is what a first name is made of.
type givenNames struct {
	names   []string // alone, or before or after another
	seconds []string // only after another
}

var femaleNames = givenNames{names: []string{
	"María", "Ana", "Laura", "Sofía", "Lucía", "Florencia", "Carolina", "Mónica", "Silvia", "Claudia",
	"Patricia", "Gabriela", "Marta", "Susana", "Graciela", "Norma", "Stella Maris", "Alicia", "Rosa", "Verónica",
	"Andrea", "Natalia", "Paula", "Romina", "Cecilia", "Daniela", "Valeria", "Mariana", "Soledad", "Julieta",
	"Agustina", "Micaela", "Rocío", "Milagros", "Candela", "Abril", "Morena", "Guadalupe", "Pilar", "Delfina",
	"Catalina", "Josefina", "Victoria", "Eugenia", "Belén", "Noemí", "Inés", "Beatriz", "Teresa", "Elena",
	"Irene", "Nélida", "Mirta", "Elsa", "Olga", "Lidia", "Ester", "Haydée", "Zulema", "Delia",
	"Amalia", "Ofelia", "Raquel", "Sandra", "Karina", "Lorena", "Vanesa", "Yanina", "Jésica", "Yésica",
	"Evangelina", "Antonella", "Ailén", "Nahir", "Ayelén", "Malén", "Luján", "Itatí", "Fátima", "Jimena",
	"Magalí", "Melina", "Brenda", "Priscila", "Tamara", "Miriam", "Débora", "Sabrina", "Leticia", "Lía",
	"Zoe", "Emma", "Renata", "Bianca", "Uma", "Begoña", "Consuelo", "Concepción", "Asunción", "Ñusta",
	"Águeda", "Anahí", "Suyai",
}, seconds: []string{"José", "de los Ángeles", "del Carmen", "del Valle"}}

var maleNames = givenNames{names: []string{
	"Juan", "José", "Carlos", "Luis", "Jorge", "Miguel Ángel", "Daniel", "Pablo", "Diego", "Martín",
	"Sergio", "Marcelo", "Fernando", "Gustavo", "Alejandro", "Ricardo", "Eduardo", "Roberto", "Hugo", "Héctor",
	"Oscar", "Óscar", "Raúl", "Rubén", "Mario", "Julio", "César", "Alberto", "Ramón", "Francisco",
	"Nicolás", "Matías", "Facundo", "Ezequiel", "Lucas", "Franco", "Leandro", "Sebastián", "Maximiliano", "Cristian",
	"Gonzalo", "Ignacio", "Tomás", "Joaquín", "Federico", "Mariano", "Hernán", "Javier", "Adrián", "Gabriel",
	"Rodrigo", "Emiliano", "Bautista", "Benjamín", "Thiago", "Lautaro", "Valentín", "Ciro", "Felipe", "Simón",
	"Esteban", "Damián", "Darío", "Fabián", "Walter", "Néstor", "Norberto", "Osvaldo", "Omar", "Ángel",
	"Antonio", "Manuel", "Pedro", "Víctor", "Enrique", "Ernesto", "Germán", "Guillermo", "Iván", "Jonatan",
	"Kevin", "Brian", "Nahuel", "Lisandro", "Leopoldo", "Lorenzo", "Máximo", "Ulises", "Zacarías", "Íñigo",
	"Eustaquio", "Rosendo", "Ceferino", "Segundo", "Elías", "Isaías", "Joel", "Uriel", "Santino", "Dante",
	"Aníbal", "Amílcar", "Agustín",
}, seconds: []string{"María", "de Jesús"}}

var lastNames = []string{
	"González", "Rodríguez", "Gómez", "Fernández", "López", "Díaz", "Martínez", "Pérez", "García", "Sánchez",
	"Romero", "Sosa", "Torres", "Álvarez", "Ruiz", "Ramírez", "Flores", "Benítez", "Acosta", "Medina",
	"Herrera", "Suárez", "Aguirre", "Giménez", "Gutiérrez", "Pereyra", "Rojas", "Molina", "Castro", "Ortiz",
	"Silva", "Núñez", "Luna", "Juárez", "Cabrera", "Ríos", "Morales", "Godoy", "Moreno", "Ferreyra",
	"Domínguez", "Carrizo", "Peralta", "Castillo", "Ledesma", "Quiroga", "Vega", "Vera", "Muñoz", "Ojeda",
	"Ponce", "Villalba", "Cardozo", "Navarro", "Coronel", "Vázquez", "Ramos", "Vargas", "Cáceres", "Arias",
	"Figueroa", "Córdoba", "Correa", "Maldonado", "Paz", "Rivero", "Miranda", "Mansilla", "Farías", "Roldán",
	"Méndez", "Guzmán", "Agüero", "Hernández", "Lucero", "Cruz", "Páez", "Escobar", "Mendoza", "Barrios",
	"Bustos", "Ávila", "Ayala", "Blanco", "Soria", "Maidana", "Acuña", "Leiva", "Duarte", "Moyano",
	"Campos", "Soto", "Martín", "Valdez", "Bravo", "Chávez", "Velázquez", "Olivera", "Toledo", "Franco",
	"Ibáñez", "Ibarra", "Ocampo", "Zárate", "Güemes", "Argüello", "Quiñones", "Peñaloza", "Castañeda", "Ordóñez",
	"Rossi", "Russo", "Ferrari", "Esposito", "Bianchi", "Romano", "Colombo", "Ricci", "Marino", "Greco",
	"Bruno", "Gallo", "Conti", "De Luca", "Costa", "Giordano", "Mancini", "Rizzo", "Lombardi", "Moretti",
	"Barbieri", "Fontana", "Santoro", "Mariani", "Rinaldi", "Caruso", "Ferrero", "Galli", "Martinelli", "Pellegrini",
	"D'Angelo", "D'Amico", "D'Alessandro", "D'Onofrio", "Dell'Acqua", "O'Connor", "O'Donnell", "O'Farrell", "Mac Dougall", "Walsh",
	"Schmidt", "Müller", "Wagner", "Becker", "Weiss", "Schröder", "Krause", "Fischer", "Köhler", "Hoffmann",
	"Goldberg", "Kaplan", "Levy", "Cohen", "Grinberg", "Szpilman", "Kowalski", "Nowak", "Horvat", "Kovačević",
	"Haddad", "Saleh", "Nasser", "Abdala", "Chamorro", "Etcheverry", "Iturralde", "Echegaray", "Goñi", "Yrigoyen",
	"Ñancupil", "Ñancucheo", "Huenchumán", "Catrileo", "Curruhuinca", "Nahuelpán", "Painefil", "Quispe", "Condorí", "Choque",
	"Mamaní", "Cusipuma", "Tolaba", "Vilte", "Guaymás", "Caucota", "de la Fuente", "de la Cruz", "del Río", "de los Santos",
	"San Martín", "Santa Cruz", "Pueyrredón", "Anchorena", "Sarmiento", "Irízar", "Zubizarreta", "Arozarena", "Urquiza", "Saavedra-Lamas",
	"Oyarzún", "Cárdenas", "Riquelme", "Barría", "Nakamura", "Higa", "Tanaka", "Kim", "Chen", "Thomas",
}

// nicknames stand between quotes after a first name.
var nicknames = []string{"Tito", "Pocho", "Cacho", "Beba", "Negrita", "Ñato", "Lito", "Chiche", "Coca", "Pepe"}

// suffixes stand after a last name and a comma: a son with his father's name,
// widows who keep their husband's.
var suffixes = []string{"h.", "hijo", "vda. de Ruiz", "vda. de Muñoz", "vda. de O'Donnell"}
